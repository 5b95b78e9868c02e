//! A Postgres beside the server, as `DATABASE_URL` names one: the test stops and starts it.

use crate::home::Home;
use rejoinder_app::cluster::{self, Cluster, Options};

/// An `ENCRYPTION_KEY` that opens nothing real.
pub const KEY: &str = "b25seSBmb3IgdGhlc2UgdGVzdHMsIDMyIGJ5dGVzISE=";

pub struct Database {
    cluster: Option<Cluster>,
    // After the cluster: it ends what is left of it.
    home: Home,
}

impl Database {
    pub async fn start() -> Self {
        let mut database = Self { cluster: None, home: Home::new() };
        database.start_again().await;
        database
    }

    pub async fn start_again(&mut self) {
        let options = Options { data_dir: self.home.data_dir(), bin_dir: None, max_connections: 90 };
        self.cluster = Some(cluster::start(&options).await.unwrap());
    }

    /// Its sessions are cut off.
    pub async fn stop(&mut self) {
        self.cluster.take().unwrap().stop().await.unwrap();
    }

    pub fn url(&self) -> String {
        let sockets = self.home.sockets().to_str().unwrap().replace('/', "%2F");
        format!("postgres://rejoinder@localhost/rejoinder?host={sockets}&sslmode=disable")
    }
}
