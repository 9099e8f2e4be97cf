//! The device that the tensor tests run on.

use alambic_transformer::DeviceChoice;
use burn::tensor::Device;

/// `ALAMBIC_TEST_DEVICE` (a device as on the command line), else the CPU.
pub(crate) fn test_device() -> Device {
    let choice = std::env::var("ALAMBIC_TEST_DEVICE").unwrap_or_else(|_| "cpu".into());
    let choice: DeviceChoice = choice.parse().expect("ALAMBIC_TEST_DEVICE names a device");
    choice.open().expect("the test device exists")
}
