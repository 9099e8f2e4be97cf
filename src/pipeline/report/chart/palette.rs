//! The inks of the charts: colour-blind safe (Okabe and Ito 2008), named by what they draw.

use plotters::style::RGBColor;

use super::super::model::{Arm, ModelArm};

/// What a mark stands for; its colour follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    Teacher,
    Distilled,
    HardLabels,
    Grid,
    Reference,
    Text,
    /// The ground of the charts: parts marks that would run together.
    Paper,
}

impl Ink {
    /// The colour in the light scheme; `page/report.css` knows each by its hex digits.
    pub(crate) fn color(self) -> RGBColor {
        match self {
            Self::Teacher => RGBColor(0x5A, 0x5A, 0x5A),
            Self::Distilled => RGBColor(0x00, 0x72, 0xB2),
            Self::HardLabels => RGBColor(0xD5, 0x5E, 0x00),
            Self::Grid => RGBColor(0xE7, 0xE5, 0xE0),
            Self::Reference => RGBColor(0x8F, 0x8C, 0x85),
            Self::Text => RGBColor(0x55, 0x53, 0x4E),
            Self::Paper => RGBColor(0xFF, 0xFF, 0xFF),
        }
    }
}

impl From<Arm> for Ink {
    fn from(arm: Arm) -> Self {
        match arm {
            Arm::Distilled => Self::Distilled,
            Arm::HardLabels => Self::HardLabels,
        }
    }
}

impl From<ModelArm> for Ink {
    fn from(arm: ModelArm) -> Self {
        match arm {
            ModelArm::Teacher => Self::Teacher,
            ModelArm::Distilled => Self::Distilled,
            ModelArm::HardLabels => Self::HardLabels,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_sheet_knows_every_ink() {
        let css = include_str!("../page/report.css");
        let inks = [
            Ink::Teacher,
            Ink::Distilled,
            Ink::HardLabels,
            Ink::Grid,
            Ink::Reference,
            Ink::Text,
            Ink::Paper,
        ];
        for ink in inks {
            let RGBColor(red, green, blue) = ink.color();
            let selector = format!("\"#{red:02X}{green:02X}{blue:02X}\"");
            assert!(css.contains(&selector), "{ink:?} {selector}");
        }
    }
}
