//! Where the database is: `DATABASE_URL`, or the private cluster. One that does not run is started for the look and stopped after it.

use super::Finding;
use crate::cluster::{self, Cluster};
use crate::config::Config;
use crate::lifecycle;
use secrecy::ExposeSecret;
use sqlx::postgres::PgConnectOptions;

pub struct Place {
    /// How to get there, or why there is no way.
    pub(super) options: Result<PgConnectOptions, Finding>,
    cluster: Option<Cluster>,
}

impl Place {
    pub fn at(options: PgConnectOptions) -> Self {
        Self { options: Ok(options), cluster: None }
    }

    /// Makes no new cluster.
    pub async fn find(config: &Config) -> Self {
        let nowhere = |finding| Self { options: Err(finding), cluster: None };
        if let Some(url) = &config.database_url {
            return match url.expose_secret().parse::<PgConnectOptions>() {
                Ok(options) => Self::at(options),
                // The reason may quote the address with its password.
                Err(_) => nowhere(Finding::fail(
                    "database",
                    "DATABASE_URL cannot be understood.",
                    "Example: postgres://USER:PASSWORD@db.example.com/rejoinder",
                )),
            };
        }
        if let Some(options) = cluster::running(&config.data_dir) {
            return Self::at(options);
        }
        let folder = config.data_dir.display();
        if !cluster::exists(&config.data_dir) {
            return nowhere(Finding::warn(
                "database",
                format!("There is no database in {folder} yet."),
                "The first `rejoinder serve` makes one; is DATA_DIR the folder of the installation, or DATABASE_URL meant?",
            ));
        }
        match lifecycle::start_cluster(config).await {
            Ok(cluster) => Self { options: Ok(cluster.connect_options()), cluster: Some(cluster) },
            Err(error) => nowhere(Finding::fail(
                "database",
                format!("The private Postgres in {folder} does not start: {error}"),
                "Its log stands beside it.",
            )),
        }
    }

    /// Stops what was started for the look.
    pub async fn leave(self) -> Result<(), cluster::ClusterError> {
        match self.cluster {
            Some(cluster) => cluster.stop().await,
            None => Ok(()),
        }
    }
}
