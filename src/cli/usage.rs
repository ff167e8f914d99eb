//! Arguments that cannot be parsed, in one sentence.

/// What clap says in several lines, without the usage.
pub fn sentence(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let said =
        text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let mut sentence = String::new();
    for line in said.filter(|line| !line.is_empty()) {
        match line.strip_prefix("tip: ") {
            Some(tip) => sentence.push_str(&format!("; {tip}")),
            None if sentence.is_empty() => sentence.push_str(line),
            None => sentence.push_str(&format!(" {line}")),
        }
    }
    sentence + "; --help shows what can be given"
}
