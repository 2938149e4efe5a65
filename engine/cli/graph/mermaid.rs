//! A plan as a Mermaid flowchart.

use std::fmt::Write;

use headwater_runtime::plan::{Plan, Tier};

use super::{colour, edges};

/// A plan as a Mermaid flowchart; stages stand in a frame for each tier when there is more than one.
pub fn mermaid(plan: &Plan) -> String {
    let mut text = "flowchart LR\n".to_owned();
    let tiers: Vec<Tier> =
        Tier::ALL.into_iter().filter(|tier| plan.stages.iter().any(|s| s.tier == *tier)).collect();
    for tier in &tiers {
        let framed = tiers.len() > 1;
        if framed {
            let _ = writeln!(text, "  subgraph tier_{tier} [{tier}]");
        }
        let margin = if framed { "    " } else { "  " };
        for stage in plan.stages.iter().filter(|s| s.tier == *tier) {
            let _ =
                writeln!(text, "{margin}s_{}[\"<b>{}</b><br/>{}\"]", stage.id, stage.id, stage.kind.name());
        }
        if framed {
            text += "  end\n";
        }
    }
    let edges = edges(plan);
    let id = |at: usize| plan.stages.get(at).map_or("", |s| s.id.as_str());
    for edge in &edges {
        let port = if edge.texts.is_empty() { String::new() } else { format!("{}: ", edge.texts.join(" ")) };
        let line = if edge.back { "-.->" } else { "-->" };
        let _ = writeln!(text, "  s_{} {line}|\"{port}{}\"| s_{}", id(edge.from), edge.label, id(edge.to));
    }
    for (at, edge) in edges.iter().enumerate() {
        let _ = writeln!(text, "  linkStyle {at} stroke:{},stroke-width:2px", colour(edge.label));
    }
    text
}
