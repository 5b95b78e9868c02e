//! Both sides of every check: what is held, and what looks like it and goes.

use super::{Context, Elsewhere, Verdict, check};
use proptest::prelude::*;
use rejoinder_platforms::LengthRule;

const LISTED: &[&str] =
    &["acme.com", "münchen.example.de", "shop.github.io", "github.com", "co.uk", "tinyurl.com", "[::1]"];

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn verdict(text: &str, recent: &[String]) -> Verdict {
    let link_domains = strings(LISTED);
    check(
        text,
        &Context { length: LengthRule::characters(10_000), link_domains: &link_domains, recent, ..Context::default() },
    )
}

/// The codes, and all sentences in one.
fn held(text: &str) -> (Vec<&'static str>, String) {
    match verdict(text, &[]) {
        Verdict::Allow => (Vec::new(), String::new()),
        Verdict::Hold(reasons) => (
            reasons.iter().map(|reason| reason.code).collect(),
            reasons.iter().map(|reason| reason.text.as_str()).collect::<Vec<_>>().join(" | "),
        ),
    }
}

fn assert_each(code: &str, cases: &[(&str, &str)]) {
    for (text, named) in cases {
        let (codes, words) = held(text);
        assert_eq!(codes, [code], "{text:?}: {words}");
        assert!(words.contains(named), "{text:?} must name {named:?}: {words}");
    }
}

fn assert_allowed(texts: &[&str]) {
    for text in texts {
        assert_eq!(verdict(text, &[]), Verdict::Allow, "{text:?}");
    }
}

#[test]
fn a_text_longer_than_the_platform_takes_is_held() {
    let context = Context { length: LengthRule::characters(5), link_domains: &[], recent: &[], ..Context::default() };
    assert_eq!(check("ÄÖÜ👍a", &context), Verdict::Allow);
    let Verdict::Hold(reasons) = check("ÄÖÜ👍ab", &context) else { panic!("6 characters went through") };
    assert_eq!(reasons[0].code, "too_long");
    assert_eq!(reasons[0].text, "is 6 characters long; the platform takes 5");
}

#[test]
fn insults_are_held_in_many_languages() {
    assert_each(
        "insult",
        &[
            ("Well, fuck off then.", "fuck"),
            ("YOU'RE AN IDIOT!", "you re an idiot"),
            ("You\u{2019}re an idiot", "you re an idiot"),
            ("\u{ff46}\u{ff55}\u{ff43}\u{ff4b} this", "fuck"),
            ("f\u{200b}uck this", "fuck"),
            ("just kill yourself", "just kill yourself"),
            ("Du bist ein Arschloch", "arschloch"),
            ("HURENSÖHNE", "hurensöhne"),
            ("ferme ta gueule", "ferme ta gueule"),
            ("Espèce d’idiot !", "espèce d idiot"),
            ("¡Vete a la mierda!", "vete a la mierda"),
            ("seu filho da puta", "filho da puta"),
            ("Ma vaffanculo", "vaffanculo"),
            ("ty skurwysynie kurwa", "kurwa"),
            ("ну ты мудак", "мудак"),
            ("seni orospu çocuğu", "orospu"),
            ("你这个王八蛋", "王八蛋"),
            ("もう死ねよ", "死ねよ"),
            ("이 병신 아", "병신"),
        ],
    );
}

#[test]
fn annoyance_medicine_and_names_are_no_insults() {
    assert_allowed(&[
        "Damn, that's on us. What a crappy, shitty update; we are pissed off too. It sucks.",
        "That sounds like hell, sorry!",
        "Mist, das ist Scheiße gelaufen. Verdammt!",
        "Merde, désolés pour le retard. Le bâtard de campagne est au four, votre colis est en retard.",
        "¡Joder, qué mierda! Un café negro y una camiseta negra, por favor.",
        "Che cavolo, che cazzata abbiamo fatto.",
        "Cholera, przepraszamy!",
        "Блин, нам очень жаль.",
        "すみません、バグでした。必死に直しています。",
        "糟糕,我们很抱歉。",
        "Yes, you can get cancer screening there; breast, anal and rectal exams too. The penis and the vagina heal within days.",
        "If you want to kill the process use kill -9. The parent died, the child was killed.",
        "I feel for you. Suicide prevention hotline: 988.",
        "Scunthorpe, Penistone, Essex, Cockburn Street, Niger, Nigeria, Montenegro, Titz, Wankum, Condom, Intercourse (PA)",
        "Dick Van Dyke, Kristin Hoare, Herr Fick, Fagott, faggio e fagioli, Vinegar, Snigger, hoarse",
        "Ngā mihi nui. Knus og kys! Tack och slut. Det tar en hora? Spela fagott.",
        "Wenn du Opfer eines Betrugs geworden bist, ruf uns an. Die FDP sagt nein. Ik krijg kankerscreening.",
        "Le pneu va crever. 화면이 꺼져 있어요. Nebbia fitta sul lago.",
        "The bitch of the litter is fine, the bastard file and the spic and span chink too.",
        "idiot-proof, foolproof, stupid simple; shut up and take my money",
    ]);
}

#[test]
fn links_to_hosts_that_are_not_listed_are_held_by_name() {
    assert_each(
        "link_unknown",
        &[
            ("see https://evil.com/x.", "links to evil.com,"),
            ("SEE HTTPS://EVIL.COM", "evil.com"),
            ("see evil.com", "evil.com"),
            ("see EVIL.COM now", "evil.com"),
            ("Visit Evil.Com", "evil.com"),
            ("see evil.com/acme.com", "links to evil.com,"),
            ("evil.com:8080", "evil.com"),
            ("www.evil.co.uk", "www.evil.co.uk"),
            ("[help](https://evil.com/a_(b))", "evil.com"),
            ("[help](//evil.com/a)", "evil.com"),
            ("[help](http:/evil.com)", "evil.com"),
            ("<https://evil.com>", "evil.com"),
            ("**evil.com** _evil.com_", "evil.com"),
            ("wait\u{2026}evil.com", "evil.com"),
            ("https://acme.com.evil.com/", "acme.com.evil.com"),
            ("https://acme.com\u{200b}.evil.com/", "acme.com.evil.com"),
            ("https://notacme.com/", "notacme.com"),
            ("https://acme.com%2eevil.com", "evil.com"),
            ("https://evil\u{ff0e}com", "evil.com"),
            ("https://evil\u{3002}com", "evil.com"),
            ("ev\u{ad}il.com", "evil.com"),
            ("ftp://evil.com", "evil.com"),
            ("https://acme.com,https://evil.com", "evil.com"),
            ("https://acme.com/,evil.com", "evil.com"),
            ("https:evil.com", "evil.com"),
            ("https://acme.com/go?to=https://evil.com", "evil.com"),
            ("http://localhost/", "localhost"),
            ("https://other.github.io", "other.github.io"),
            ("https://amazon.co.uk/", "amazon.co.uk"),
            ("これはevil.comです", "evil.com"),
            ("https://evil.com. And https://EVIL.com/b", "evil.com"),
            ("mentions @the.cafe and evil.app", "evil.app"),
        ],
    );
}

#[test]
fn a_link_that_hides_its_host_says_how() {
    assert_each(
        "link_userinfo",
        &[
            ("https://acme.com@evil.com/x", "its host is evil.com"),
            ("https://me:secret@acme.com/", "its host is acme.com"),
            ("https://acme.com\u{ff1a}x@evil.com", "evil.com"),
            ("[x](https://acme.com,you@evil.com)", "evil.com"),
            ("[x](https://acme.com,you@evil.com)", "evil.com"),
        ],
    );
    assert_each(
        "link_mixed_letters",
        &[
            ("https://\u{430}cme.com", "\u{430}cme.com (xn--cme-5cd.com)"),
            ("\u{430}cme.com/login", "(xn--cme-5cd.com)"),
            ("xn--cme-5cd.com", "mixes alphabets"),
        ],
    );
    assert_each(
        "link_foreign_letters",
        &[("https://пример.рф/", "пример.рф"), ("https://bücher.example.net", "bücher")],
    );
    assert_each(
        "link_ip",
        &[
            ("http://10.0.0.1/x", "10.0.0.1"),
            ("10.0.0.1:8080/x", "10.0.0.1"),
            ("http://2130706433/", "127.0.0.1"),
            ("http://[2001:db8::1]/", "[2001:db8::1]"),
        ],
    );
    assert_each("link_shortener", &[("https://bit.ly/3x", "bit.ly"), ("t.co/abc", "t.co"), ("www.goo.gl/a", "goo.gl")]);
    assert_each("link_unreadable", &[("http://a:99999/", "a:99999")]);
    assert_each("email", &[("write to help@evil.com", "evil.com"), ("mailto:john.me@evil.com", "evil.com")]);
}

#[test]
fn listed_hosts_and_what_is_no_link_go_out() {
    assert_allowed(&[
        "See https://acme.com/help, acme.com/setup.sh?x=evil.com#y and www.help.acme.com.",
        "Write to help@acme.com or john.me@help.acme.com",
        "(https://acme.com), *https://acme.com*, https://acme.com, https://acme.com:8443/x and https://acme.com!",
        "https://münchen.example.de/ and https://XN--MNCHEN-3YA.EXAMPLE.DE",
        "https://shop.github.io, https://github.com/a/b, https://tinyurl.com/acme",
        "http://[::1]/",
        "https://acme.com。次は",
        "詳しくはacme.com をご覧ください。",
        "e.g. this, i.e. that, a.k.a. them, z.B. dies, d.h. das, m.in. tutaj, U.S., p.m., Ph.D., S.p.A.",
        "main.rs, README.md, setup.py, run.sh, archive.zip, Node.js, index.html, photo.jpg, config.toml",
        "ASP.NET and VB.NET",
        "Thanks.It works.So glad!No problem...So be it",
        "firmware 1.2.3.4, version 2.0, 3.50, 12:30, 1,000.00",
        "Ask @the.cafe or u/john_doe in r/espresso",
        "C++ :// ok",
        "終わりです。COMはまだ。",
    ]);
}

#[test]
fn only_so_many_links_are_named_and_a_long_host_is_cut() {
    let many: Vec<String> = (0..20).map(|number| format!("evil{number}.com")).collect();
    assert_eq!(held(&many.join(" ")).0.len(), 5);
    let (_, words) = held(&format!("https://{}.com", "a.".repeat(90) + "b"));
    assert!(words.chars().count() < 200, "{words}");
}

#[test]
fn a_bad_entry_of_the_list_allows_nothing() {
    for domain in ["", " ", ".", "com", "*", "https://evil.com", "evil.com/x", "\u{0}"] {
        let link_domains = strings(&[domain]);
        let context = Context {
            length: LengthRule::characters(100),
            link_domains: &link_domains,
            recent: &[],
            ..Context::default()
        };
        assert_ne!(check("https://evil.com/x", &context), Verdict::Allow, "{domain:?}");
    }
}

fn repeats(text: &str, recent: &[&str]) -> Option<String> {
    match verdict(text, &strings(recent)) {
        Verdict::Allow => None,
        Verdict::Hold(reasons) => {
            assert_eq!(reasons.iter().map(|reason| reason.code).collect::<Vec<_>>(), ["repeated"]);
            Some(reasons[0].text.clone())
        }
    }
}

const LONG: &str = "We are sorry that the grinder jumps after cleaning. Please take the burr carrier out once more, brush the thread and \
    turn it by hand until it stops; then two clicks back. If it still jumps, write to us with the serial number from the bottom \
    plate and we will send you a new spring at no cost.";

#[test]
fn the_same_text_is_held_after_three_times() {
    let text = "Thank you, that helps a lot!";
    assert_eq!(repeats(text, &[text, text]), None);
    let held =
        repeats(text, &["THANK YOU \u{2014} that helps a lot", "other", "thank\u{a0}you that helps, a lot", text]);
    let said = "the same text went out 3 times or more in the last 24 hours; platforms ban accounts for that";
    assert_eq!(held.as_deref(), Some(said));
    assert!(repeats("👍", &["👍", "👍 ", " 👍"]).is_some());
    assert!(
        repeats(
            "ありがとうございます。",
            &["ありがとうございます", "ありがとう ございます!", "ありがとうございます。"]
        )
        .is_some()
    );
    assert!(repeats("Café déjà vu", &["cafe\u{301} de\u{301}ja\u{300} vu", "CAFÉ DÉJÀ VU", "café, déjà vu"]).is_some());
}

#[test]
fn a_long_text_with_another_name_is_the_same_and_a_short_one_is_not() {
    let to = |name: &str| format!("Hi {name}! {LONG}");
    let recent: Vec<String> = ["Ann", "Bob", "Cyd"].map(to).to_vec();
    assert!(repeats(&to("Dee"), &recent.iter().map(String::as_str).collect::<Vec<_>>()).is_some());
    for recent in [
        ["Thanks, Ann, it ships on Monday.", "Thanks, Bob, it ships on Monday.", "Thanks, Cyd, it ships on Monday."],
        ["Thanks, Dee, it ships on Friday.", "Thanks, Dee, it ships on Sunday.", "Thanks, Dee, it ships on Tuesday."],
        ["Order 1 is on its way.", "Order 2 is on its way.", "Order 3 is on its way."],
        ["Order 1 is on its way.", "Order 41 is on its way.", "Order 40 is on its way."],
        ["👍", "👍👍", "❤️"],
        ["", "", ""],
    ] {
        assert_eq!(repeats("Thanks, Dee, it ships on Monday.", &recent), None, "{recent:?}");
        assert_eq!(repeats("Order 4 is on its way.", &recent), None, "{recent:?}");
        assert_eq!(repeats("🎉", &recent), None, "{recent:?}");
    }
    let days = ["ご注文1番は明日届きます", "ご注文2番は明日届きます", "ご注文3番は明日届きます"];
    assert_eq!(repeats("ご注文4番は明日届きます", &days), None);
}

#[test]
fn only_the_newest_fifty_are_looked_at() {
    let mut recent = vec!["other"; 50];
    recent.extend(["same words"; 3]);
    assert_eq!(repeats("same words", &recent), None);
    recent.drain(..3);
    assert!(repeats("same words", &recent).is_some());
}

#[test]
fn all_that_stands_against_a_text_is_said_at_once() {
    let text = "you idiot, see evil.com";
    let Verdict::Hold(reasons) = verdict(text, &strings(&[text; 3])) else { panic!("went through") };
    let codes: Vec<_> = reasons.iter().map(|reason| reason.code).collect();
    assert_eq!(codes, ["insult", "link_unknown", "repeated"]);
}

/// Texts dense with what the checks look for.
fn tricky() -> impl Strategy<Value = String> {
    let parts = [
        "://",
        "[",
        "]",
        "@",
        ".",
        "..",
        "-",
        ":",
        "/",
        "%",
        "xn--",
        "com",
        "co.uk",
        "\u{430}",
        "\u{ff0e}",
        "\u{3002}",
        "\u{ad}",
        "\u{200b}",
        "\u{301}",
        "é",
        "死",
        "ね",
        "ア",
        "👍🏽",
        "1.2.3.4",
        "::1",
        " ",
        "\n",
        "\0",
        "fuck",
        "you",
        "\u{2026}",
        "https",
        "\u{e0041}",
        "ﬀ",
        "ß",
        "İ",
        "\\",
        "(",
        ")",
        "#",
        "?",
        "9999999",
    ];
    let part = prop_oneof![6 => prop::sample::select(parts.to_vec()).prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)];
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn no_text_breaks_a_check(
        text in prop_oneof![3 => tricky(), 1 => ".{0,300}"],
        domain in prop_oneof![tricky(), ".{0,20}"],
        posted in tricky(),
        max_chars in 0_usize..300,
    ) {
        let (link_domains, recent) = (vec![domain], vec![posted, text.clone()]);
        let context = Context { length: LengthRule::characters(max_chars), link_domains: &link_domains, recent: &recent, ..Context::default() };
        let verdict = check(&text, &context);
        prop_assert_ne!(&verdict, &Verdict::Hold(Vec::new()));
        prop_assert_eq!(check(&text, &context), verdict);
    }

    /// Whatever stands around it, an address with a scheme and a strange host never goes out unseen.
    #[test]
    fn a_strange_address_is_seen_in_any_text(before in ".{0,40}", after in ".{0,40}") {
        let text = format!("{before} https://evil.com/ {after}");
        prop_assert_ne!(verdict(&text, &[]), Verdict::Allow);
    }

    #[test]
    fn a_text_is_like_itself_in_other_letters_and_marks(words in prop::collection::vec("[a-zäöüж]{1,8}", 1..60)) {
        let recent = strings(&[&words.join(" "), &words.join(", ").to_uppercase().to_lowercase(), &words.join("\n- ")]);
        let again = verdict(&format!("{}!", words.join(" ")), &recent);
        prop_assert_ne!(again, Verdict::Allow);
    }
}

fn elsewhere(text: &str, community: Option<&str>, posted: &[(&str, &str)]) -> Vec<&'static str> {
    let elsewhere: Vec<Elsewhere> = posted
        .iter()
        .map(|(community, text)| Elsewhere { community: (*community).to_owned(), text: (*text).to_owned() })
        .collect();
    match check(
        text,
        &Context { length: LengthRule::characters(10_000), community, elsewhere: &elsewhere, ..Context::default() },
    ) {
        Verdict::Allow => Vec::new(),
        Verdict::Hold(reasons) => reasons.iter().map(|reason| reason.code).collect(),
    }
}

const ADVICE: &str = "Turn the ring two clicks finer, wait for the burrs to touch, then taste the next shot again.";

#[test]
fn nearly_the_same_text_in_another_community_is_held() {
    let nearly = ADVICE.replace("again", "once more");
    for text in [ADVICE, &nearly, &ADVICE.to_uppercase()] {
        assert_eq!(elsewhere(text, Some("r/coffee"), &[("r/espresso", ADVICE)]), ["across"], "{text}");
    }
}

#[test]
fn another_text_the_same_community_or_a_thank_you_may_go_out() {
    let other = "Put the beans into the fridge, weigh twelve grams and grind them coarse for your french press.";
    assert!(elsewhere(other, Some("r/coffee"), &[("r/espresso", ADVICE)]).is_empty());
    assert!(elsewhere(ADVICE, Some("r/espresso"), &[("r/espresso", ADVICE)]).is_empty());
    assert!(elsewhere("Thank you, enjoy it!", Some("r/coffee"), &[("r/espresso", "Thank you, enjoy it!")]).is_empty());
    assert!(elsewhere(ADVICE, None, &[("r/espresso", ADVICE)]).is_empty(), "a platform without places");
}

#[test]
fn a_second_answer_of_the_team_is_a_persons_choice() {
    let context =
        Context { length: LengthRule::characters(100), answered_by: Some("brassfinch"), ..Context::default() };
    let Verdict::Hold(reasons) = check("Any time!", &context) else { panic!("it went through") };
    assert!(reasons[0].code == "answered" && reasons[0].text.contains("brassfinch"), "{reasons:?}");
}
