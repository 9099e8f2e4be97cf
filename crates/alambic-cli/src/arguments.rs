//! The command line: every command and its arguments.

use alambic::transformer::DeviceChoice;
use clap::{Args, Parser, Subcommand};

use crate::commands::benchmark::BenchmarkArguments;
use crate::commands::cache::CacheCommand;
use crate::commands::capture::CaptureArguments;
use crate::commands::doctor::DoctorArguments;
use crate::commands::export::ExportArguments;
use crate::commands::generate::GenerateArguments;
use crate::commands::merge::MergeArguments;
use crate::commands::quickstart::QuickstartArguments;
use crate::commands::recipe::RecipeArguments;
use crate::commands::report::ReportArguments;
use crate::commands::score::ScoreArguments;
use crate::commands::study::StudyArguments;
use crate::commands::synthesize::SynthesizeArguments;
use crate::output::OutputFormat;

/// Distil small language models from large ones.
#[derive(Debug, Parser)]
#[command(
    name = "alambic",
    version,
    about,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  alambic quickstart\n  alambic run recipe.toml --out runs/first\n\n\
                  Exit codes: 0 done, 1 failed, 2 bad input."
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Print one JSON document on stdout at the end; progress goes to stderr.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Cli {
    /// What stdout is written for.
    pub(crate) fn format(&self) -> OutputFormat {
        if self.json {
            OutputFormat::Json
        } else {
            OutputFormat::Text
        }
    }
}

/// Every command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the embedded demonstration: nothing to download.
    #[command(after_help = "Example:\n  alambic quickstart --out runs/quickstart")]
    Quickstart(QuickstartArguments),
    /// Run every stage of a recipe; finished stages are skipped, broken ones resumed.
    #[command(
        after_help = "Example:\n  alambic run recipe.toml --out runs/first --set optimizer.learning_rate=1e-3"
    )]
    Run(RecipeArguments),
    /// Ask the teacher and keep its answers in the cache.
    #[command(
        after_help = "Examples:\n  alambic capture recipe.toml --out runs/first --device wgpu:0\n  \
                      alambic capture recipe.toml --out runs/first --shard 3/8"
    )]
    Capture(CaptureArguments),
    /// Train the student on the cache, and the baseline beside it.
    #[command(
        after_help = "Example:\n  alambic train recipe.toml --out runs/first --set training.total_steps=1000"
    )]
    Train(RecipeArguments),
    /// Measure teacher, student and baseline on the test split.
    #[command(after_help = "Example:\n  alambic evaluate recipe.toml --out runs/first --json")]
    Evaluate(RecipeArguments),
    /// Ask a model the questions of a benchmark.
    #[command(
        after_help = "Example:\n  alambic benchmark runs/first/student --task mmlu --data mmlu/test/virology_test.csv"
    )]
    Benchmark(BenchmarkArguments),
    /// Let a teacher write training conversations: strategies, answers, checks; or go on where it ended.
    #[command(
        after_help = "Example:\n  alambic synthesize configs/synthesis/textbook.toml --out data/solved"
    )]
    Synthesize(SynthesizeArguments),
    /// Find what would fail or mislead later, before any compute.
    #[command(
        after_help = "Example:\n  alambic doctor recipe.toml --set teacher.path=downloads/teacher"
    )]
    Doctor(DoctorArguments),
    /// Continue a prompt with a model.
    #[command(
        after_help = "Examples:\n  alambic generate runs/first/student --prompt \"Once upon a time\" --greedy\n  \
                      alambic generate --model runs/first/student --prompt-tokens tokens.safetensors --greedy \
                      --max-new-tokens 24 --out output.safetensors"
    )]
    Generate(GenerateArguments),
    /// Write a model's logits of given tokens, to compare them with those of other programs.
    #[command(
        after_help = "Example:\n  alambic score --model runs/first/student --tokens tokens.safetensors --out logits.safetensors"
    )]
    Score(ScoreArguments),
    /// Look into a cache of teacher answers, complete one, or make others of it.
    #[command(after_help = "Example:\n  alambic cache verify runs/first/cache/train")]
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Cache {
        /// What to do with the cache.
        #[command(subcommand)]
        command: CacheCommand,
    },
    /// Show one run, or compare several.
    #[command(after_help = "Example:\n  alambic report runs/first runs/second")]
    Report(ReportArguments),
    /// Repeat a recipe over the seeds and learning rates of its experiment section.
    #[command(
        after_help = "Example:\n  alambic experiment recipe.toml --out runs/seeds --set 'experiment.seeds=[1, 2, 3]'"
    )]
    Experiment(RecipeArguments),
    /// Compare variants of a recipe, several seeds each, on one test split.
    #[command(
        after_help = "Example:\n  alambic study configs/studies/target_study.toml --out runs/targets --device cpu"
    )]
    Study(StudyArguments),
    /// Write the student of a run as a Hugging Face directory.
    #[command(after_help = "Example:\n  alambic export runs/first --out exported --dtype bf16")]
    Export(ExportArguments),
    /// Write a model with adapters added to its weights.
    #[command(
        after_help = "Example:\n  alambic merge models/base --adapter adapters/chat --out models/chat"
    )]
    Merge(MergeArguments),
}

impl Command {
    /// The word typed on the command line.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Quickstart(_) => "quickstart",
            Self::Run(_) => "run",
            Self::Capture(_) => "capture",
            Self::Train(_) => "train",
            Self::Evaluate(_) => "evaluate",
            Self::Doctor(_) => "doctor",
            Self::Generate(_) => "generate",
            Self::Score(_) => "score",
            Self::Cache { command } => command.name(),
            Self::Report(_) => "report",
            Self::Experiment(_) => "experiment",
            Self::Study(_) => "study",
            Self::Export(_) => "export",
            Self::Merge(_) => "merge",
            Self::Benchmark(_) => "benchmark",
            Self::Synthesize(_) => "synthesize",
        }
    }
}

/// Changes to a recipe.
#[derive(Debug, Args)]
pub(crate) struct OverrideArguments {
    /// Set a key of the recipe; may be repeated, the later one counts. The value is TOML or a bare
    /// string; the word unset leaves an optional key out; relative paths start at the current
    /// directory.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// Where tensors live.
#[derive(Debug, Args)]
pub(crate) struct DeviceArguments {
    /// auto, cpu, ndarray, wgpu, wgpu:N, cuda or cuda:N; auto takes a GPU when there is one.
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub(crate) device: DeviceChoice,
}

/// How training is shown.
#[derive(Debug, Args)]
pub(crate) struct DashboardArguments {
    /// burn's terminal dashboard while training, instead of a progress bar; needs a build with the
    /// feature `tui`.
    #[arg(long)]
    pub(crate) dashboard: bool,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::PathBuf;

    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("alambic").chain(line.split_whitespace()))
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example_and_accepts_json() {
        fn check(command: &clap::Command, path: &str) {
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(help.contains("Example"), "{path} shows no example");
            assert!(
                help.contains(path),
                "the example of {path} shows another command"
            );
            for inner in command.get_subcommands() {
                check(inner, &format!("{path} {}", inner.get_name()));
            }
        }
        check(&Cli::command(), "alambic");
        for line in [
            "run r.toml --out d --json",
            "--json report d",
            "cache info d --json",
        ] {
            assert!(parse(line).unwrap().json, "{line}");
        }
    }

    #[test]
    fn a_recipe_command_takes_overrides_in_order() {
        let cli = parse("run r.toml --out d --set a.b=1 --set a.b=2 --device wgpu:1").unwrap();
        let Command::Run(arguments) = cli.command else {
            panic!("{:?}", cli.command)
        };
        assert_eq!(arguments.recipe, PathBuf::from("r.toml"));
        assert_eq!(arguments.out, PathBuf::from("d"));
        assert_eq!(arguments.overrides.set, ["a.b=1", "a.b=2"]);
        assert_eq!(arguments.device.device, DeviceChoice::Wgpu(Some(1)));
    }

    #[test]
    fn every_command_knows_its_name() {
        for line in [
            "quickstart",
            "run r --out d",
            "capture r --out d",
            "train r --out d",
            "evaluate r --out d",
            "doctor r",
            "generate d --prompt p",
            "generate --model d --prompt-tokens t --greedy --out o",
            "score --model d --tokens t --out o",
            "report d",
            "experiment r --out d",
            "study s --out d",
            "export d --out e",
        ] {
            let name = parse(line).unwrap().command.name();
            assert_eq!(line.split_whitespace().next(), Some(name));
        }
        for line in ["cache info d", "cache verify d", "cache seal d"] {
            let name = parse(line).unwrap().command.name();
            assert_eq!(line.strip_suffix(" d"), Some(name));
        }
        for line in [
            "cache verify a --teacher b --sample 8 --seed 1 --device cpu",
            "cache concat a b --out c",
            "cache filter a --out b --min-tokens 2 --max-tokens 9 --min-targets 1",
            "cache split a --out b --rest c --fraction 0.5 --seed 1",
        ] {
            let name = parse(line).unwrap().command.name();
            assert!(line.starts_with(name), "{name}");
        }
    }

    #[test]
    fn what_is_missing_or_unknown_is_refused() {
        for (line, kind) in [
            ("", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
            ("distil", ErrorKind::InvalidSubcommand),
            ("run r.toml", ErrorKind::MissingRequiredArgument),
            ("run --out d", ErrorKind::MissingRequiredArgument),
            ("run r.toml --out d --fast", ErrorKind::UnknownArgument),
            (
                "run r.toml --out d --device gpu",
                ErrorKind::ValueValidation,
            ),
            ("run r.toml --out d --shard 0/2", ErrorKind::UnknownArgument),
            (
                "capture r.toml --out d --shard 2/2",
                ErrorKind::ValueValidation,
            ),
            ("cache seal", ErrorKind::MissingRequiredArgument),
            (
                "cache verify d --teacher t",
                ErrorKind::MissingRequiredArgument,
            ),
            (
                "cache verify d --sample 1",
                ErrorKind::MissingRequiredArgument,
            ),
            (
                "cache verify d --device cpu",
                ErrorKind::MissingRequiredArgument,
            ),
            (
                "cache verify d --teacher t --sample 0",
                ErrorKind::ValueValidation,
            ),
            ("cache concat a --out b", ErrorKind::TooFewValues),
            ("cache filter a --out b", ErrorKind::MissingRequiredArgument),
            (
                "cache split a --out b --rest c --fraction 1 --seed 1",
                ErrorKind::ValueValidation,
            ),
            ("report", ErrorKind::MissingRequiredArgument),
            ("generate d", ErrorKind::MissingRequiredArgument),
            (
                "generate d --prompt p --greedy --temperature 1",
                ErrorKind::ArgumentConflict,
            ),
            (
                "generate d --prompt p --greedy --top-k 1",
                ErrorKind::ArgumentConflict,
            ),
            (
                "generate d --prompt p --temperature 0",
                ErrorKind::ValueValidation,
            ),
            (
                "generate d --prompt p --top-p 1.5",
                ErrorKind::ValueValidation,
            ),
            (
                "generate d --prompt p --top-k 0",
                ErrorKind::ValueValidation,
            ),
            ("export d --out e --dtype f64", ErrorKind::InvalidValue),
            ("quickstart --seed -1", ErrorKind::UnknownArgument),
        ] {
            assert_eq!(parse(line).unwrap_err().kind(), kind, "{line}");
        }
    }
}
