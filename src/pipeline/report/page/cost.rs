//! What the run cost, and how to run it again.

use super::super::model::Report;
use super::super::quantity;
use super::escape;

/// The stages with their times, and the figures of cache and evaluation, as HTML.
pub(super) fn cost(report: &Report) -> String {
    format!(
        "<section>\n<h2>Cost</h2>\n{}<dl class=\"facts\">\n{}</dl>\n</section>\n",
        stage_table(report),
        facts(report),
    )
}

fn stage_table(report: &Report) -> String {
    if report.stages.is_empty() {
        return String::new();
    }
    let total: f64 = report.stages.iter().map(|stage| stage.seconds).sum();
    let rows: String = report
        .stages
        .iter()
        .map(|stage| {
            let share = if total > 0.0 { (100.0 * stage.seconds / total).clamp(0.0, 100.0) } else { 0.0 };
            format!(
                "<tr><th scope=\"row\">{}</th><td class=\"detail\">{}</td><td>{}</td>\
                 <td class=\"share\"><div class=\"bar\"><i style=\"width:{share:.1}%\"></i></div></td></tr>\n",
                escape(&stage.name),
                escape(&stage.detail),
                quantity::duration(stage.seconds),
            )
        })
        .collect();
    format!(
        "<div class=\"scroll\"><table class=\"stages\">\n<thead><tr><th scope=\"col\">stage</th>\
         <th scope=\"col\" class=\"detail\">what</th><th scope=\"col\">time</th>\
         <th scope=\"col\" class=\"share\"><span class=\"quiet\">share</span></th></tr></thead>\n\
         <tbody>\n{rows}<tr class=\"total\"><th scope=\"row\">total</th><td class=\"detail\"></td>\
         <td>{}</td><td class=\"share\"></td></tr>\n</tbody>\n</table></div>\n",
        quantity::duration(total),
    )
}

fn facts(report: &Report) -> String {
    let (train, evaluation) = (&report.train, &report.evaluation);
    let mut facts = vec![
        (
            "training",
            format!("{} tokens/s", quantity::count(train.tokens_per_second)),
            format!(
                "{} tokens in {} steps",
                quantity::count(train.tokens as f64),
                quantity::whole(train.steps)
            ),
        ),
        (
            "peak memory",
            quantity::bytes(train.peak_rss_bytes as f64),
            "resident, while training the student".to_owned(),
        ),
    ];
    let of_cache = report.cache.as_ref().map(|cache| {
        [
            (
                "cache",
                format!("{:.1} bytes/token", cache.bytes_per_token),
                format!(
                    "{} for {} tokens",
                    quantity::bytes(cache.bytes as f64),
                    quantity::count(cache.tokens as f64)
                ),
            ),
            (
                "targets",
                cache.kept.clone(),
                match cache.mean_tail_mass {
                    Some(mass) => format!("leave out {:.2}% of the mass on average", 100.0 * mass),
                    None => "drawn from the teacher's probabilities".into(),
                },
            ),
        ]
    });
    facts.extend(of_cache.into_iter().flatten());
    facts.push((
        "evaluation",
        format!("{} tokens", quantity::count(evaluation.tokens as f64)),
        format!(
            "{} segments in {}",
            quantity::whole(evaluation.segments),
            quantity::duration(evaluation.seconds)
        ),
    ));
    let fact = |(name, value, detail): &(&str, String, String)| {
        format!("<div><dt>{name}</dt><dd><b>{value}</b><span>{detail}</span></dd></div>\n")
    };
    facts.iter().map(fact).collect()
}

/// Command, seed and device, as HTML.
pub(super) fn reproduce(report: &Report) -> String {
    format!(
        "<section>\n<h2>How to reproduce</h2>\n<pre>alambic run RECIPE</pre>\n\
         <p>RECIPE is the resolved recipe saved in the directory of this run. Seed <b>{}</b>, \
         device <b>{}</b>, written by <b>{}</b>. The figures of this page stand in \
         <code>report.json</code>, schema version {}.</p>\n\
         <p class=\"quiet\">They come from one seed. <code>alambic report RUN_DIR…</code> gathers \
         several runs into means and standard deviations.</p>\n</section>\n",
        report.seed,
        escape(&report.device),
        escape(&report.created_by),
        report.schema_version,
    )
}
