//! Whether a post holds a link, as X bills it: an address with `http://` or `https://`, or a bare name under a known top-level domain.
//! A bare name of two parts under a country's domain is a link only with a path (twitter-text; `.co` and `.tv` are taken for links).
//!
//! The simulator's own reading of that rule; of the generic domains it knows those that texts of its worlds could hold.

const GENERIC: &str = "academy agency app art asia bar bike bio biz blog cafe cat center city cloud club coffee com community company coop \
    design dev digital eco edu email events fun fyi global gov group guide help house inc info int jobs land life link live llc love ltd market media mil mobi \
    museum name net network news online org page photo photos plus press pro restaurant review reviews rocks run sale school science \
    services shop show site social software solutions space store studio style support systems team tech technology tel tips today \
    tools top town toys travel tube video vip website wiki win work works world xxx xyz zone";
const COUNTRIES: &str = "ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bv bw by bz ca cc cd cf cg \
    ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gb gd ge gf gg gh gi gl gm gn gp gq gr gs gt \
    gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me \
    mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro \
    rs ru rw sa sb sc sd se sg sh si sk sl sm sn so sr st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us uy uz va vc ve vg \
    vi vn vu wf ws ye yt za zm zw";

fn among(list: &str, word: &str) -> bool {
    list.split(' ').any(|known| known.eq_ignore_ascii_case(word))
}

pub(super) fn holds_link(text: &str) -> bool {
    let letters: Vec<char> = text.chars().collect();
    (0..letters.len()).any(|at| begins_link(&letters, at))
}

/// A name that begins here and is not the middle of another word.
fn begins_link(letters: &[char], at: usize) -> bool {
    let before = &letters[..at];
    let bare = before.last().is_none_or(|sign| !sign.is_alphanumeric() && !"@$#._-/＠＃".contains(*sign));
    let scheme = ["http://", "https://"].iter().any(|scheme| ends_with(before, scheme));
    if !bare && !scheme {
        return false;
    }
    let of_name = |sign: &&char| sign.is_ascii_alphanumeric() || matches!(**sign, '.' | '-' | '_');
    let run: String = letters[at..].iter().take_while(of_name).collect();
    let labels: Vec<&str> = run.split('.').collect();
    // The longest name whose last part is a domain, as far as what follows lets it end there.
    (1..labels.len()).rev().any(|last| {
        let host = labels[..=last].join(".");
        let after = letters.get(at + host.chars().count()).copied();
        is_host(&labels[..=last], after, scheme)
    })
}

fn ends_with(before: &[char], word: &str) -> bool {
    let word: Vec<char> = word.chars().collect();
    before.len() >= word.len()
        && before[before.len() - word.len()..].iter().zip(&word).all(|(one, other)| one.eq_ignore_ascii_case(other))
}

fn is_host(labels: &[&str], after: Option<char>, scheme: bool) -> bool {
    let Some((domain, names)) = labels.split_last() else { return false };
    let named = |label: &&str| {
        let edge = |sign: Option<char>| sign.is_some_and(|sign| sign.is_ascii_alphanumeric());
        label.len() <= 63 && edge(label.chars().next()) && edge(label.chars().next_back())
    };
    if !names.iter().all(named) || names.last().is_some_and(|name| name.contains('_')) {
        return false;
    }
    if after.is_some_and(|sign| sign.is_ascii_alphanumeric() || matches!(sign, '@' | '+' | '-' | '_')) {
        return false;
    }
    let short = names.len() == 1 && !["co", "tv"].iter().any(|one| one.eq_ignore_ascii_case(domain));
    among(GENERIC, domain) || (among(COUNTRIES, domain) && (scheme || !short || after == Some('/')))
}

#[cfg(test)]
mod tests {
    use super::holds_link;

    #[test]
    fn links_are_told_from_words_with_dots() {
        for text in [
            "See https://acme.com/a",
            "acme.com has it",
            "look: WWW.Acme.COM.",
            "(shop.acme.de)",
            "http://acme.de",
            "acme.de/manual",
            "t.co",
            "これはexample.com/pathです 😀 example.com",
        ] {
            assert!(holds_link(text), "{text}");
        }
        for text in [
            "No link here, e.g. none.",
            "acme.de",
            "node.js and main.rs",
            "write to help@acme.com",
            "first.last@acme.io",
            "@acme.com",
            "#acme.com",
            "http://acme.c_o_m",
            "https:// nothing",
            "1.5 bar. Or 9.5",
            "a_b.com",
        ] {
            assert!(!holds_link(text), "{text}");
        }
    }
}
