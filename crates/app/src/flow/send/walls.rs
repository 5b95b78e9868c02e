//! What must not compile, so that nothing posts but this stage. Each pair differs in the forbidden line only: the first shows
//! that the rest is right. Inside this crate privacy ends at `flow/send`; making a second set of writers is banned in `clippy.toml`.

/// What everybody holds reads and does not write.
/// ```
/// fn anybody(app: &rejoinder_app::app::App) {
///     let reads: &dyn rejoinder_platforms::Reader = app.readers.get("reddit").unwrap().as_ref();
/// }
/// ```
/// ```compile_fail,E0308
/// fn anybody(app: &rejoinder_app::app::App) {
///     let writes: &dyn rejoinder_platforms::Writer = app.readers.get("reddit").unwrap().as_ref();
/// }
/// ```
struct ReadersReadOnly;

/// Every job is handed the sender. It lends its writers to nobody.
/// ```
/// fn another_job(engine: &rejoinder_app::engine::Engine) {
///     let sender = engine.sender.as_ref().unwrap();
/// }
/// ```
/// ```compile_fail,E0624
/// fn another_job(engine: &rejoinder_app::engine::Engine) {
///     let sender = engine.sender.as_ref().unwrap();
///     let writer = sender.writer("reddit");
/// }
/// ```
/// ```compile_fail,E0616
/// fn another_job(engine: &rejoinder_app::engine::Engine) {
///     let sender = engine.sender.as_ref().unwrap();
///     let writers = &sender.writers;
/// }
/// ```
/// ```compile_fail,E0616
/// fn another_job(engine: rejoinder_app::engine::Engine) {
///     let sender = engine.sender.unwrap();
///     let writers = sender.writers;
/// }
/// ```
struct SenderLendsNothing;

/// There is one set, and it moves.
/// ```
/// use rejoinder_app::app::App;
/// use rejoinder_app::flow::send::{Identity, Sender};
/// fn start(app: &App, writers: rejoinder_platforms::Writers, identity: Identity, other: Identity) {
///     let sender = Sender::new(app, writers, identity);
/// }
/// ```
/// ```compile_fail,E0382
/// use rejoinder_app::app::App;
/// use rejoinder_app::flow::send::{Identity, Sender};
/// fn start(app: &App, writers: rejoinder_platforms::Writers, identity: Identity, other: Identity) {
///     let sender = Sender::new(app, writers, identity);
///     let another = Sender::new(app, writers, other);
/// }
/// ```
/// ```compile_fail,E0599
/// use rejoinder_app::app::App;
/// use rejoinder_app::flow::send::{Identity, Sender};
/// fn start(app: &App, writers: rejoinder_platforms::Writers, identity: Identity, other: Identity) {
///     let sender = Sender::new(app, writers.clone(), identity);
/// }
/// ```
struct WritersMove;

/// No set is made by hand, and no adapter hands out its half.
/// ```
/// use rejoinder_platforms::{RedditConfig, Writers};
/// let empty = Writers::default();
/// ```
/// ```compile_fail,E0423
/// use rejoinder_platforms::{RedditConfig, Writers};
/// let filled = Writers(Default::default());
/// ```
/// ```compile_fail,E0603
/// use rejoinder_platforms::{RedditConfig, Writers};
/// use rejoinder_platforms::reddit::connect;
/// ```
struct NoOtherSource;
