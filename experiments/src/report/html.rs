//! A report as a page: one file, no script, no network.

use super::{Block, Report, Section};
use crate::figure::{Figure, FigureError, Theme, escaped, style};
use crate::table::Table;

const STYLE: &str = include_str!("style.css");

/// Width of figures that stand side by side, and of any on a small screen, px.
const NARROW: f64 = 360.0;
/// Width of a figure that stands alone, px.
const WIDE: f64 = 1120.0;

pub fn page(report: &Report) -> Result<String, FigureError> {
    let mut body = format!("<header><h1>{}</h1><p>{}</p></header>\n", escaped(&report.title), escaped(&report.lead));
    if report.sections.len() > 1 {
        let link =
            |(index, section): (usize, &Section)| format!("<a href=\"#s{index}\">{}</a>", escaped(&section.title));
        let links: String = report.sections.iter().enumerate().map(link).collect();
        body += &format!("<nav>{links}</nav>\n");
    }
    for (index, section) in report.sections.iter().enumerate() {
        body += &format!(
            "<section id=\"s{index}\"><h2>{}</h2>\n{}</section>\n",
            escaped(&section.title),
            blocks(&section.blocks)?
        );
    }
    let version = env!("CARGO_PKG_VERSION");
    let missing = match &report.missing[..] {
        [] => String::new(),
        missing => format!("<p>Not shown, for want of data: {}.</p>", escaped(&missing.join("; "))),
    };
    body += &format!("<footer>{missing}<p>softflow {version}</p></footer>\n");
    let colors = [
        style("svg", &Theme::LIGHT),
        root(&Theme::LIGHT),
        format!("@media (prefers-color-scheme:dark){{{}{}}}", style("svg", &Theme::DARK), root(&Theme::DARK)),
    ];
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n<title>{}</title>\n\
         <style>\n{}\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n",
        escaped(&report.title),
        colors.concat(),
    ))
}

/// The colours of a theme by name, for what is no figure.
fn root(theme: &Theme) -> String {
    let Theme { paper, ink, faint, rule, series } = theme;
    format!(":root{{--paper:{paper};--ink:{ink};--faint:{faint};--rule:{rule};--accent:{}}}", series[0])
}

fn blocks(blocks: &[Block]) -> Result<String, FigureError> {
    blocks.iter().map(block).collect()
}

fn block(block: &Block) -> Result<String, FigureError> {
    Ok(match block {
        Block::Tiles(tiles) => {
            let tile = |[name, value, interval]: &[String; 3]| {
                let [name, value, interval] = [name, value, interval].map(|text| escaped(text));
                format!("<div><dt>{name}</dt><dd>{value}<small>{interval}</small></dd></div>")
            };
            format!("<dl class=\"tiles\">{}</dl>\n", tiles.iter().map(tile).collect::<String>())
        }
        Block::Wide(wide) => {
            let pictures = format!(
                "<div class=\"large\">{}</div><div class=\"small\">{}</div>",
                wide.to_inline(WIDE)?,
                wide.to_inline(NARROW)?
            );
            figure(wide, "wide", &pictures)
        }
        Block::Figures(figures) => {
            let drawn: Result<String, FigureError> =
                figures.iter().map(|each| Ok(figure(each, "", &each.to_inline(NARROW)?))).collect();
            format!("<div class=\"figures\">{}</div>\n", drawn?)
        }
        Block::Table { title, note, table } => {
            let note =
                if note.is_empty() { String::new() } else { format!("<p class=\"note\">{}</p>\n", escaped(note)) };
            format!("<h3>{}</h3>\n<div class=\"scroll\">{}</div>\n{note}", escaped(title), rows(table))
        }
        Block::Pictures(pictures) => {
            let picture = |(what, bytes): &(String, Vec<u8>)| {
                let what = escaped(what);
                let data = base64(bytes);
                format!(
                    "<figure><img alt=\"{what}\" src=\"data:image/gif;base64,{data}\"><figcaption>{what}</figcaption></figure>"
                )
            };
            format!("<div class=\"figures\">{}</div>\n", pictures.iter().map(picture).collect::<String>())
        }
        Block::Folded { title, blocks: within } => {
            format!("<details><summary>{}</summary>\n{}</details>\n", escaped(title), blocks(within)?)
        }
        Block::Words(words) => format!("<p>{}</p>\n", escaped(words)),
        Block::Code(code) => format!("<pre>{}</pre>\n", escaped(code)),
    })
}

fn figure(of: &Figure, class: &str, pictures: &str) -> String {
    let (title, note) = (escaped(&of.title), escaped(&of.note));
    format!("<figure class=\"{class}\"><figcaption><b>{title}</b><span>{note}</span></figcaption>{pictures}</figure>\n")
}

fn rows(table: &Table) -> String {
    let Some((header, rows)) = table.parts() else { return String::new() };
    let header: String =
        header.iter().map(|cell| format!("<th>{}</th>", escaped(&cell.replace(" [95 %]", "")))).collect();
    let row = |cells: &Vec<String>| {
        let cells: String = cells.iter().map(|text| cell(text)).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let body: String = rows.iter().map(row).collect();
    format!("<table><thead><tr>{header}</tr></thead><tbody>\n{body}</tbody></table>")
}

/// A cell; an interval stands under its number.
fn cell(text: &str) -> String {
    let parts = text.split_once(" [").and_then(|(value, rest)| Some((value, rest.split_once(']')?)));
    match parts {
        Some((value, (interval, after))) if is_number(value) && interval.contains(", ") => {
            let interval = interval.replace(", ", " to ");
            let after = after.trim_start_matches(", ");
            let after = if after.is_empty() { String::new() } else { format!("<small>{}</small>", escaped(after)) };
            format!("<td class=\"n\">{}<small>{}</small>{after}</td>", escaped(value), escaped(&interval))
        }
        _ if is_number(text) => format!("<td class=\"n\">{}</td>", escaped(text)),
        _ => format!("<td>{}</td>", escaped(text)),
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_suffix(" k").or_else(|| text.strip_suffix(" M")).unwrap_or(text);
    digits.parse::<f64>().is_ok()
}

/// Bytes in the letters of a data URL (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= three.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: RFC 4648, section 10.
    #[test]
    fn base64_is_that_of_the_rfc() {
        let cases =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")];
        for (bytes, expected) in cases {
            assert_eq!(base64(bytes.as_bytes()), expected);
        }
    }

    /// Contract: an interval stands under its number, text stays text, and nothing in a cell is markup.
    #[test]
    fn cells_are_told_apart() {
        assert_eq!(cell("3.97 [3.61, 4.30]"), "<td class=\"n\">3.97<small>3.61 to 4.30</small></td>");
        assert_eq!(
            cell("0.9 [0.8, 1], 9 of 10"),
            "<td class=\"n\">0.9<small>0.8 to 1</small><small>9 of 10</small></td>"
        );
        assert_eq!(cell("1.20 M"), "<td class=\"n\">1.20 M</td>");
        assert_eq!(cell("a <b> [c, d]"), "<td>a &lt;b&gt; [c, d]</td>");
    }
}
