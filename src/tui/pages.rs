//! The pages: what stands where, in a terminal of any size.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use super::sheet::{BOLD, DIM, Section, ends, wide};
use super::skin::harmless;
use super::{
    Look, Page, Scene, chart, errors, help, latency, load, log, progress, sheet, small, trust,
    workers,
};

/// Where less room is, lines stand without order.
const LEAST_WIDTH: u16 = 60;
const LEAST_HEIGHT: u16 = 18;
/// Where so much room is, sections have frames.
const FRAMED_HEIGHT: u16 = 32;
/// Where a log of so many lines is below them, there are charts, so many lines high with their frames.
const LOG_WITH_CHARTS: u16 = 7;
const LOWEST_CHARTS: u16 = 6;
const HIGHEST_CHARTS: u16 = 12;
/// Lines without which a list is none.
const LEAST_LIST: u16 = 2;

/// Draws the page that is looked at.
pub(super) fn draw(scene: &Scene<'_>, look: &mut Look, buffer: &mut Buffer) {
    let area = buffer.area;
    let is_small = area.width < LEAST_WIDTH || area.height < LEAST_HEIGHT;
    match look.page {
        Page::Overview if is_small => {
            let shown = small::lines(scene, area.height.into(), area.width.into());
            sheet::lines(shown, area, buffer);
        }
        Page::Overview => {
            let inside = around(scene, *look, area, buffer);
            overview(scene, inside, buffer);
        }
        page => {
            let inside = if is_small {
                area
            } else {
                around(scene, *look, area, buffer)
            };
            list(page, scene, look, inside, buffer);
        }
    }
    if look.help {
        help::draw(scene, area, buffer);
    }
}

/// The first two lines and the last one; says what is left between them.
fn around(scene: &Scene<'_>, look: Look, area: Rect, buffer: &mut Buffer) -> Rect {
    let width = usize::from(area.width);
    let what = harmless(&format!(
        "{} at {}",
        scene.plan.provider.model, scene.plan.target.base_url
    ));
    let left = vec![Span::styled(" llmload ", BOLD), Span::raw(what)];
    let head = ends(left, vec![progress::badge(scene)], width);
    let mut way = progress::line(scene, width.saturating_sub(2));
    way.spans.insert(0, Span::raw(" "));
    sheet::lines(vec![head, way], area, buffer);
    let last = Rect {
        y: area.bottom() - 1,
        height: 1,
        ..area
    };
    sheet::lines(vec![foot(scene, look.page, width)], last, buffer);
    Rect {
        y: area.y + 2,
        height: area.height - 3,
        ..area
    }
}

/// The pages, and as many keys as there is room for.
fn foot(scene: &Scene<'_>, page: Page, width: usize) -> Line<'static> {
    let mut pages = Vec::new();
    for one in Page::ALL {
        let style = if one == page {
            BOLD.add_modifier(Modifier::REVERSED)
        } else {
            DIM
        };
        pages.push(Span::styled(format!(" {} ", one.name()), style));
    }
    let rate = if scene.plan.schedule.has_rate() {
        "r/f rate  "
    } else {
        ""
    };
    let all = format!("w/s users  {rate}p pause  q stop  Tab page  ? keys ");
    let some = format!("w/s users  {rate}q stop  ? keys ");
    let keys = [all, some, "q stop  ? keys ".to_owned()];
    let room = width.saturating_sub(wide(&pages) + 2);
    let keys = keys.into_iter().find(|keys| keys.len() <= room);
    ends(
        pages,
        vec![Span::styled(keys.unwrap_or_default(), DIM)],
        width,
    )
}

/// Everything at once: sections that need what they need, lists that share the rest, and the log below.
fn overview(scene: &Scene<'_>, area: Rect, buffer: &mut Buffer) {
    let framed = area.height + 3 >= FRAMED_HEIGHT;
    let edges = if framed { 2 } else { 1 };
    let width = usize::from(area.width.saturating_sub(if framed { 4 } else { 2 }));
    let whole = [
        load::section(scene, width),
        latency::section(scene, width),
        trust::section(scene, width),
    ];
    let needed: u16 = whole.iter().map(|section| height(section, edges)).sum();
    let rest = area.height.saturating_sub(needed);
    let lists = lists_height(scene, rest, edges);
    let [load, latency, trust] = whole;
    let mut below = area;
    for section in [load, latency, trust] {
        let height = height(&section, edges);
        section.draw(take(&mut below, height), framed, buffer);
    }
    let row = take(&mut below, lists);
    if row.height > 0 {
        side_by_side(scene, row, edges, framed, buffer);
    }
    if framed && below.height >= LOG_WITH_CHARTS + LOWEST_CHARTS {
        let height = (below.height - LOG_WITH_CHARTS).min(HIGHEST_CHARTS);
        chart::draw(scene, take(&mut below, height), buffer);
    }
    if below.height > edges {
        let room = below.height - edges;
        Section::new("Log", log::last(scene, room.into())).draw(below, framed, buffer);
    }
}

fn height(section: &Section, edges: u16) -> u16 {
    u16::try_from(section.lines.len())
        .unwrap_or(u16::MAX)
        .saturating_add(edges)
}

/// Lines for failures and workers: what they need, up to half of what is left.
fn lists_height(scene: &Scene<'_>, rest: u16, edges: u16) -> u16 {
    let longest = errors::lines(scene).len().max(scene.standing.workers.len());
    let wanted = u16::try_from(longest).unwrap_or(u16::MAX).max(1);
    let most = (rest / 2).saturating_sub(edges).max(LEAST_LIST);
    (wanted.min(most) + edges).min(rest)
}

/// The top of `area`, which has it no longer.
fn take(area: &mut Rect, height: u16) -> Rect {
    let height = height.min(area.height);
    let top = Rect { height, ..*area };
    area.y += height;
    area.height -= height;
    top
}

fn side_by_side(scene: &Scene<'_>, row: Rect, edges: u16, framed: bool, buffer: &mut Buffer) {
    let room = usize::from(row.height.saturating_sub(edges));
    let half = row.width / 2;
    let left = Rect { width: half, ..row };
    let right = Rect {
        x: row.x + half,
        width: row.width - half,
        ..row
    };
    errors::section(scene, room).draw(left, framed, buffer);
    workers::section(scene, room).draw(right, framed, buffer);
}

/// One list, as long as there is room, and scrolled.
fn list(page: Page, scene: &Scene<'_>, look: &mut Look, area: Rect, buffer: &mut Buffer) {
    let heading = match page {
        Page::Workers => Some(workers::heading()),
        _ => None,
    };
    let above = usize::from(heading.is_some());
    let room = usize::from(area.height).saturating_sub(1 + above);
    let all = match page {
        Page::Workers => workers::lines(scene),
        Page::Errors => errors::lines(scene),
        // Lines of the log are made when they are seen.
        Page::Log | Page::Overview => Vec::new(),
    };
    let total = if page == Page::Log {
        scene.log.len()
    } else {
        all.len()
    };
    let (first, end) = look.window(total, room);
    let shown = if page == Page::Log {
        log::between(scene, first, end)
    } else {
        all.into_iter().skip(first).take(end - first).collect()
    };
    let mut lines: Vec<_> = heading.into_iter().collect();
    lines.extend(shown);
    if total == 0 {
        lines.push(Line::styled("none", DIM));
    }
    let section = Section::new(page.name(), lines);
    let where_it_is = format!("{} to {end} of {total}", (first + 1).min(total));
    let section = if end - first < total {
        section.and(Span::styled(where_it_is, DIM))
    } else {
        section
    };
    section.draw(area, false, buffer);
}
