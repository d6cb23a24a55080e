//! A lineage as a drawing.

use std::fmt::Write;

use super::{
    Graph, Lineage,
    layout::{Layout, Rect, Size, Stretch, lay_out},
    node::{Node, Status},
};
use crate::State;

mod text;

use text::{Font, escape, fit};

/// Around everything, in pixels; edges of a cycle go out so far.
const MARGIN: f64 = 32.0;
const PADDING: f64 = 10.0;
const LINE: f64 = 16.0;
const MIN_WIDTH: f64 = 96.0;
/// The most that a line of text in a node takes.
const MAX_TEXT: f64 = 210.0;
/// The most that the name of a role takes, and the height of its line.
const MAX_ROLE: f64 = 90.0;
const ROLE_LINE: f64 = 14.0;
/// Where a node has more inputs, the roles are not written out.
const MAX_ROLES: usize = 32;

const INK: &str = "#1f2933";
const MUTED: &str = "#5b6773";
const EDGE: &str = "#8896a3";

const HEADING: Font = Font { size: 13.0, is_bold: true, color: INK };
const LABEL: Font = Font { size: 12.0, is_bold: false, color: INK };
const FOOTER: Font = Font { size: 11.0, is_bold: false, color: MUTED };
const ROLE: Font = Font { size: 10.0, is_bold: false, color: MUTED };

impl Lineage {
    /// A drawing of the graph as one SVG document that needs nothing but a sans-serif font: inputs on the left, results
    /// on the right. What is too long to show is in the tooltips.
    ///
    /// Equal lineages give equal drawings, whatever the order of their records. A cycle, which only damaged data hold,
    /// is drawn with an edge that goes back.
    ///
    /// ```
    /// use larder_provenance::Lineage;
    ///
    /// assert!(Lineage::default().to_svg().starts_with("<svg "));
    /// ```
    pub fn to_svg(&self) -> String {
        let graph = Graph::new(self);
        let cards: Vec<Card<'_>> = cards(&graph);
        let sizes: Vec<Size> = cards.iter().map(|card| card.size).collect();
        let ends: Vec<_> = graph.edges.iter().map(|edge| (edge.from, edge.to)).collect();
        let layout = lay_out(&sizes, &ends);
        let legend = Legend::of(&graph);
        let mut svg = String::new();
        open(&mut svg, &graph, &layout, &legend);
        draw_edges(&mut svg, &graph, &cards, &layout);
        for (card, rect) in cards.iter().zip(&layout.boxes) {
            draw_card(&mut svg, card, rect);
        }
        legend.draw(&mut svg, layout.height + MARGIN);
        svg + "</svg>\n"
    }
}

/// A node as it is drawn.
struct Card<'a> {
    node: &'a Node<'a>,
    lines: Vec<(Font, String)>,
    size: Size,
    /// Whether the roles of its inputs are written out.
    has_roles: bool,
}

fn cards<'a>(graph: &'a Graph<'a>) -> Vec<Card<'a>> {
    let mut roles = vec![Vec::new(); graph.nodes.len()];
    for edge in &graph.edges {
        roles[edge.to].push(edge.role);
    }
    graph.nodes.iter().zip(roles).map(|(node, roles)| Card::new(node, &roles)).collect()
}

impl<'a> Card<'a> {
    fn new(node: &'a Node<'a>, roles: &[Option<&str>]) -> Self {
        let texts = [
            (HEADING, node.heading()),
            (LABEL, node.label().unwrap_or("")),
            (FOOTER, &node.footer()),
        ];
        let lines: Vec<(Font, String)> = texts
            .into_iter()
            .filter(|(_, text)| !text.is_empty())
            .map(|(font, text)| (font, fit(text, font, MAX_TEXT)))
            .collect();
        let named: Vec<f64> =
            roles.iter().flatten().map(|role| ROLE.width(role).min(MAX_ROLE)).collect();
        let has_roles = !named.is_empty() && roles.len() <= MAX_ROLES;
        let width = lines.iter().map(|(font, line)| font.width(line)).fold(0.0, f64::max);
        let rows = if has_roles { (roles.len() + 1) as f64 * ROLE_LINE } else { 0.0 };
        let lead = if has_roles { named.into_iter().fold(0.0, f64::max) + 12.0 } else { 0.0 };
        let size = Size {
            width: (width + 2.0 * PADDING).max(MIN_WIDTH),
            height: (lines.len() as f64 * LINE + PADDING).max(rows),
            lead,
        };
        Self { node, lines, size, has_roles }
    }
}

fn open(svg: &mut String, graph: &Graph<'_>, layout: &Layout, legend: &Legend) {
    let width = layout.width.max(legend.width()) + 2.0 * MARGIN;
    let height = layout.height + legend.height() + 2.0 * MARGIN;
    let count = graph.nodes.iter().filter(|node| node.record.is_some()).count();
    let noun = if count == 1 { "record" } else { "records" };
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"{:.0} {:.0} {width:.0} {height:.0}\" role=\"img\" \
         font-family=\"Helvetica, Arial, sans-serif\">\n\
         <title>Lineage of {count} {noun}</title>\n\
         <rect x=\"{:.0}\" y=\"{:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" fill=\"#fdfdfb\"/>",
        -MARGIN, -MARGIN, -MARGIN, -MARGIN
    );
}

fn draw_edges(svg: &mut String, graph: &Graph<'_>, cards: &[Card<'_>], layout: &Layout) {
    let _ = writeln!(svg, "<g fill=\"none\" stroke=\"{EDGE}\" stroke-width=\"1.3\">");
    for (edge, route) in graph.edges.iter().zip(&layout.routes) {
        let title =
            edge.role.map_or(String::new(), |role| format!("<title>{}</title>", escape(role)));
        let _ = writeln!(svg, "<path d=\"{}\">{title}</path>", path(route));
    }
    let _ = writeln!(svg, "</g>");
    for (edge, route) in graph.edges.iter().zip(&layout.routes) {
        if let (Some(role), true, Some(end)) = (edge.role, cards[edge.to].has_roles, route.last()) {
            let (x, y) = (end.to_x - 10.0, end.from.y - 3.0);
            ROLE.write(svg, x, y, "end", &fit(role, ROLE, MAX_ROLE));
        }
    }
}

/// The commands that draw an edge with the head of an arrow at its end.
fn path(route: &[Stretch]) -> String {
    let mut path = String::new();
    let mut last: Option<&Stretch> = None;
    for stretch in route {
        let (x, y) = (stretch.from.x, stretch.from.y);
        let _ = match last {
            None => write!(path, "M{x:.1} {y:.1}"),
            Some(last) => curve(&mut path, last, stretch),
        };
        if stretch.to_x > x {
            let _ = write!(path, "H{:.1}", stretch.to_x);
        }
        last = Some(stretch);
    }
    if let Some(Stretch { from, to_x }) = last {
        let (x, y) = (to_x - 6.0, from.y);
        let _ = write!(path, "M{x:.1} {:.1}L{to_x:.1} {y:.1}L{x:.1} {:.1}", y - 3.5, y + 3.5);
    }
    path
}

fn curve(path: &mut String, from: &Stretch, to: &Stretch) -> std::fmt::Result {
    let (x0, y0, x1, y1) = (from.to_x, from.from.y, to.from.x, to.from.y);
    if x0 < x1 {
        let middle = f64::midpoint(x0, x1);
        return write!(path, "C{middle:.1} {y0:.1} {middle:.1} {y1:.1} {x1:.1} {y1:.1}");
    }
    // Back, as in a cycle: around the boxes.
    let (out, back) = ((x0 + 56.0, y0 - 64.0), (x1 - 56.0, y1 - 64.0));
    write!(path, "C{:.1} {:.1} {:.1} {:.1} {x1:.1} {y1:.1}", out.0, out.1, back.0, back.1)
}

fn draw_card(svg: &mut String, card: &Card<'_>, rect: &Rect) {
    let lines: Vec<String> = card.node.details().iter().map(|line| escape(line)).collect();
    let _ = writeln!(svg, "<g><title>{}</title>", lines.join("\n"));
    frame(svg, card.node.status(), rect);
    let block = card.lines.len() as f64 * LINE;
    let mut y = rect.corner.y + (rect.height - block) / 2.0 + 12.0;
    let is_faint = matches!(card.node.status(), Status::Missing | Status::Record(State::Collected));
    for (font, line) in &card.lines {
        let color = if is_faint { MUTED } else { font.color };
        Font { color, ..*font }.write(svg, rect.corner.x + PADDING, y, "start", line);
        y += LINE;
    }
    let _ = writeln!(svg, "</g>");
}

fn frame(svg: &mut String, status: Status, rect: &Rect) {
    let (fill, stroke, line) = match status {
        Status::Record(State::Live) => ("#ffffff", INK, ""),
        Status::Record(State::Doubtful) => ("#fff6dd", "#9a6700", " stroke-dasharray=\"7 3\""),
        Status::Record(State::Collected) => ("#eef0f2", "#9aa5b1", ""),
        Status::Record(State::Invalid) => ("#fdeade", "#d55e00", " stroke-width=\"2.4\""),
        Status::Content => ("#e8f2fa", "#0072b2", ""),
        Status::Missing => ("none", MUTED, " stroke-dasharray=\"2 3\""),
    };
    let radius = if status == Status::Content { rect.height.min(36.0) / 2.0 } else { 3.0 };
    let Rect { corner, width, height } = rect;
    let _ = writeln!(
        svg,
        "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"{radius:.0}\" \
         fill=\"{fill}\" stroke=\"{stroke}\"{line}/>",
        corner.x, corner.y
    );
}

/// What the frames mean, where they differ.
struct Legend(Vec<Status>);

impl Legend {
    const SAMPLE: f64 = 26.0;
    const ENTRY: f64 = 110.0;

    fn of(graph: &Graph<'_>) -> Self {
        let is_there = |status: &Status| graph.nodes.iter().any(|node| node.status() == *status);
        let statuses: Vec<Status> = Status::ALL.into_iter().filter(is_there).collect();
        Self(if statuses == [Status::Record(State::Live)] { Vec::new() } else { statuses })
    }

    fn width(&self) -> f64 {
        Self::ENTRY * self.0.len() as f64
    }

    fn height(&self) -> f64 {
        if self.0.is_empty() { 0.0 } else { MARGIN }
    }

    fn draw(&self, svg: &mut String, y: f64) {
        let mut x = 0.0;
        for &status in &self.0 {
            let corner = super::layout::Point { x, y };
            frame(svg, status, &Rect { corner, width: Self::SAMPLE, height: 14.0 });
            FOOTER.write(svg, x + Self::SAMPLE + 6.0, y + 11.0, "start", status.as_str());
            x += Self::ENTRY;
        }
    }
}
