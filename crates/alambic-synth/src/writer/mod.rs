//! Teachers that write.

#[cfg(feature = "endpoint")]
mod endpoint;
mod ready;

use crate::SynthError;
use crate::answer::Delivery;
use crate::request::AnswerRequest;

#[cfg(feature = "endpoint")]
pub use endpoint::{Budget, Endpoint, EndpointApi, EndpointConfig, Prices, Retries};
pub use ready::ReadyAnswers;

/// Something that answers requests: a model in this process, a server, a file.
pub trait AnswerWriter {
    /// The model with all settings that change its answers and stand in no request. It is part of every request's key.
    fn identity(&self) -> String;

    /// Answers requests in any order, and hands over each as soon as it is answered or has failed for good.
    ///
    /// Requests are taken when there is room for them; when they end, those that were taken are still handed over.
    ///
    /// # Errors
    /// Those of `deliver`, after which nothing is asked any more, and what makes all further requests senseless.
    fn write(
        &mut self,
        requests: &mut dyn Iterator<Item = AnswerRequest>,
        deliver: &mut dyn FnMut(Delivery) -> Result<(), SynthError>,
    ) -> Result<WriteEnd, SynthError>;
}

/// Why a writer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteEnd {
    /// There were no more requests.
    NoMoreRequests,
    /// The budget allows no further one.
    BudgetSpent,
}
