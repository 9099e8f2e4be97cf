//! The client of a service, as the environment sets it up.

use std::env;
use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{ClientConfigKey, Error, ObjectStore};
use rustls::crypto::{CryptoProvider, ring};

use crate::object_url::{ObjectUrl, Service};

/// How long one request may take: a shard over a slow line. The library allows half a minute.
const REQUEST_TIMEOUT: &str = "10 minutes";

/// Reads credentials, region, endpoint and all other settings from the environment.
pub(super) fn connect(url: &ObjectUrl) -> Result<Arc<dyn ObjectStore>, Error> {
    choose_tls();
    let bucket = url.bucket.as_str();
    let is_unset = |variable: &str| env::var_os(variable).is_none();
    let timeout = ClientConfigKey::Timeout;
    Ok(match url.service {
        Service::S3 => {
            let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
            if is_unset("AWS_TIMEOUT") {
                builder = builder.with_config(AmazonS3ConfigKey::Client(timeout), REQUEST_TIMEOUT);
            }
            Arc::new(builder.build()?)
        }
        Service::GoogleCloud => {
            let mut builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket);
            if is_unset("GOOGLE_TIMEOUT") {
                builder = builder.with_config(GoogleConfigKey::Client(timeout), REQUEST_TIMEOUT);
            }
            Arc::new(builder.build()?)
        }
        Service::Azure | Service::AzureAccount => {
            let builder = MicrosoftAzureBuilder::from_env();
            let mut builder = match url.service {
                Service::AzureAccount => builder.with_url(url.to_string()),
                _ => builder.with_container_name(bucket),
            };
            if is_unset("AZURE_TIMEOUT") {
                builder = builder.with_config(AzureConfigKey::Client(timeout), REQUEST_TIMEOUT);
            }
            Arc::new(builder.build()?)
        }
    })
}

/// The one thing that is global: the cryptography of TLS in this process, unless it has some.
fn choose_tls() {
    if CryptoProvider::get_default().is_none() {
        // Another thread may have been faster, which is as good.
        let _ = ring::default_provider().install_default();
    }
}
