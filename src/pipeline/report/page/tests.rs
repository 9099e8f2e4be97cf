//! What holds for every page.

use std::fs;
use std::path::PathBuf;

use super::super::fixture::{bare_report, realistic_report};
use super::super::{Report, compare};

/// Elements without content.
const VOID: [&str; 2] = ["meta", "br"];

/// Panics unless every element is closed in order and every attribute is quoted.
fn assert_balanced(html: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = html.strip_prefix("<!DOCTYPE html>").unwrap();
    while let Some((text, tail)) = rest.split_once('<') {
        assert!(
            !text.contains('>') || open.last() == Some(&"style"),
            "stray > in {text:?}"
        );
        let (tag, tail) = tail.split_once('>').expect("an unfinished tag");
        rest = tail;
        let name = tag
            .trim_start_matches('/')
            .split_whitespace()
            .next()
            .unwrap();
        assert_eq!(
            tag.matches('"').count() % 2,
            0,
            "unbalanced quotes in <{tag}>"
        );
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "</{name}> closes another element");
        } else if !tag.ends_with('/') && !VOID.contains(&name) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
}

fn pages() -> Vec<String> {
    let mut single = realistic_report(4);
    for curve in &mut single.curves {
        curve.train.truncate(1);
        curve.validation.truncate(1);
    }
    let reports = [
        realistic_report(1),
        realistic_report(2),
        bare_report(),
        single,
    ];
    let mut pages: Vec<String> = reports.iter().map(|r| r.to_html().unwrap()).collect();
    pages.push(compare(&reports).html());
    pages
}

fn hostile_report() -> Report {
    const HOSTILE: &str = "</p><script>alert(\"x\")</script><img src='http://evil.test/x' onerror=alert(1)>&\u{0}\u{1b}";
    let mut report = realistic_report(1);
    report.title = HOSTILE.into();
    report.device = HOSTILE.into();
    report.created_by = HOSTILE.into();
    report.teacher.name = HOSTILE.into();
    report.accuracy_by_family[0].family = HOSTILE.into();
    report.stages[0].name = HOSTILE.into();
    report.stages[0].detail = HOSTILE.into();
    let sample = &mut report.samples[0];
    sample.prompt = HOSTILE.into();
    sample.teacher = HOSTILE.into();
    sample.student = HOSTILE.into();
    sample.baseline = Some(HOSTILE.into());
    sample.expected = Some(HOSTILE.into());
    report
}

#[test]
fn every_element_is_closed() {
    for page in pages() {
        assert_balanced(&page);
    }
}

#[test]
fn a_page_names_no_address_and_loads_nothing() {
    for page in pages() {
        for forbidden in [
            "http:", "https:", "src=", "href=", "url(", "@import", "<script", "<link",
        ] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
    }
}

#[test]
fn hostile_text_stays_text() {
    let report = hostile_report();
    for page in [
        report.to_html().unwrap(),
        compare(&[report.clone(), bare_report()]).html(),
    ] {
        assert_balanced(&page);
        assert!(
            !page.contains("<script") && !page.contains("<img"),
            "an element got through"
        );
        assert!(page.contains("&lt;script&gt;"));
        assert!(
            !page.contains(['\u{0}', '\u{1b}']),
            "a control character got through"
        );
    }
}

#[test]
fn a_full_report_has_every_section() {
    let page = realistic_report(1).to_html().unwrap();
    assert_eq!(page.matches("<svg ").count(), 6);
    assert_eq!(page.matches("class=\"card\"").count(), 5);
    for text in [
        "Learning curves",
        "Answers and calibration",
        "Samples",
        "All figures",
        "Cost",
        "How to reproduce",
        "baseline",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn sections_without_data_disappear() {
    let page = bare_report().to_html().unwrap();
    let body = page.split_once("<body>").unwrap().1;
    assert!(!body.contains("<svg "));
    assert_eq!(body.matches("class=\"card\"").count(), 4);
    for text in [
        "Learning curves",
        "Calibration",
        "Answers",
        "Samples",
        "baseline",
        "NaN",
        "None",
    ] {
        assert!(!body.contains(text), "{text}");
    }
}

#[test]
fn the_same_report_gives_the_same_page() {
    assert_eq!(
        realistic_report(9).to_html().unwrap(),
        realistic_report(9).to_html().unwrap()
    );
}

/// Puts the pages where `ALAMBIC_REPORT_PREVIEW` says, to look at; checks that they can be written.
#[test]
fn preview_pages_can_be_written() {
    let temporary = tempfile::tempdir().unwrap();
    let asked = std::env::var_os("ALAMBIC_REPORT_PREVIEW").map(PathBuf::from);
    let directory = asked.unwrap_or_else(|| temporary.path().to_owned());
    let bare = directory.join("bare");
    fs::create_dir_all(&bare).unwrap();
    realistic_report(17).write(&directory).unwrap();
    bare_report().write(&bare).unwrap();
    let runs = [
        realistic_report(17),
        realistic_report(18),
        realistic_report(19),
        bare_report(),
    ];
    fs::write(directory.join("comparison.html"), compare(&runs).html()).unwrap();
    fs::write(
        directory.join("table.txt"),
        realistic_report(17).table() + "\n" + &compare(&runs).table(),
    )
    .unwrap();
    assert!(directory.join("report.html").is_file());
}
