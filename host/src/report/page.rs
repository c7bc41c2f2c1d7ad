//! One HTML page with everything inside it.

use std::fmt::Write as _;
use std::io::Cursor;

use base64::Engine as _;
use image::{ImageFormat, RgbImage};

/// A page under construction, from top to bottom.
#[derive(Debug)]
pub struct Page {
    title: String,
    body: String,
}

/// A picture with words below it.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The pixels.
    pub image: RgbImage,
    /// What is to be seen.
    pub caption: String,
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#222}\
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem}table{border-collapse:collapse}\
td,th{padding:.2rem .9rem;text-align:right;border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}\
.strip{display:flex;flex-wrap:wrap;gap:.8rem}figure{margin:0;width:8.5rem}\
figure img{width:100%;image-rendering:pixelated;border-radius:4px}figcaption{font-size:.78rem;line-height:1.25}\
svg{max-width:100%;height:auto}code{background:#f3f3f3;padding:.1rem .3rem}";

impl Page {
    /// An empty page with a heading.
    pub fn new(title: &str) -> Self {
        Page { title: title.into(), body: String::new() }
    }

    /// A heading inside the page.
    pub fn heading(&mut self, text: &str) -> &mut Self {
        let _ = writeln!(self.body, "<h2>{}</h2>", escape(text));
        self
    }

    /// A paragraph of plain text.
    pub fn paragraph(&mut self, text: &str) -> &mut Self {
        let _ = writeln!(self.body, "<p>{}</p>", escape(text));
        self
    }

    /// Lines as they are, in a typewriter's letters.
    pub fn code(&mut self, text: &str) -> &mut Self {
        let _ = writeln!(self.body, "<pre><code>{}</code></pre>", escape(text));
        self
    }

    /// A table; the first row is its head.
    pub fn table(&mut self, rows: &[Vec<String>]) -> &mut Self {
        self.body.push_str("<table>\n");
        for (i, row) in rows.iter().enumerate() {
            let tag = if i == 0 { "th" } else { "td" };
            let cells: String = row.iter().map(|cell| format!("<{tag}>{}</{tag}>", escape(cell))).collect();
            let _ = writeln!(self.body, "<tr>{cells}</tr>");
        }
        self.body.push_str("</table>\n");
        self
    }

    /// A plot, see [`super::plot`].
    pub fn svg(&mut self, svg: &str) -> &mut Self {
        let _ = writeln!(self.body, "{svg}");
        self
    }

    /// Pictures side by side.
    pub fn pictures(&mut self, pictures: &[Picture]) -> &mut Self {
        self.body.push_str("<div class=\"strip\">\n");
        for Picture { image, caption } in pictures {
            let caption = escape(caption);
            let _ = writeln!(
                self.body,
                "<figure><img alt=\"{caption}\" src=\"data:image/png;base64,{}\"><figcaption>{caption}</figcaption></figure>",
                png_base64(image)
            );
        }
        self.body.push_str("</div>\n");
        self
    }

    /// The whole page.
    pub fn html(&self) -> String {
        let title = escape(&self.title);
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
             <style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n{}</body></html>\n",
            self.body
        )
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn png_base64(image: &RgbImage) -> String {
    let mut png = Cursor::new(Vec::new());
    image
        .write_to(&mut png, ImageFormat::Png)
        .expect("PNG takes every size of RGB picture, and memory takes every byte");
    base64::engine::general_purpose::STANDARD.encode(png.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_holds_everything_itself() {
        let mut page = Page::new("A <report>");
        page.heading("Who").paragraph("Ada & Grace").table(&[vec!["a".into()], vec!["1".into()]]);
        page.pictures(&[Picture { image: RgbImage::new(2, 2), caption: "two \"by\" two".into() }]);
        let html = page.html();
        assert!(html.contains("<title>A &lt;report&gt;</title>") && html.contains("Ada &amp; Grace"));
        assert!(html.contains("<th>a</th>") && html.contains("<td>1</td>"));
        assert!(html.contains("data:image/png;base64,iVBOR") && html.contains("two &quot;by&quot; two"));
        assert!(
            !html.contains("http") && !html.contains("<script"),
            "the page must need no network and no script"
        );
    }
}
