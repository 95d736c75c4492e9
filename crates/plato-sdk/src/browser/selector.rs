//! Finding elements in a page: CSS, `XPath` and texts, as the flows of simulators write them.

use serde_json::Value;

/// A function that finds all elements of a selector, for the page.
///
/// `css=…`, `xpath=…` or `//…`, `text=…`, and CSS with `:has-text("…")` or `:visible` at its end.
const FIND: &str = r#"(selector => {
    const seen = element => {
        const box = element.getBoundingClientRect(), style = getComputedStyle(element);
        return box.width > 0 && box.height > 0 && style.visibility !== 'hidden';
    };
    const plain = text => text.replace(/\s+/g, ' ').trim().toLowerCase();
    if (selector.startsWith('xpath=') || selector.startsWith('//') || selector.startsWith('(//')) {
        const found = document.evaluate(selector.replace(/^xpath=/, ''), document, null, 7, null);
        return Array.from({length: found.snapshotLength}, (_, index) => found.snapshotItem(index));
    }
    if (selector.startsWith('text=')) {
        const quoted = selector.slice(5).match(/^(["'])(.*)\1$/);
        const wish = plain(quoted ? quoted[2] : selector.slice(5));
        const fits = element => quoted ? plain(element.textContent) === wish : plain(element.textContent).includes(wish);
        return [...document.body.querySelectorAll('*')]
            .filter(element => fits(element) && ![...element.children].some(fits));
    }
    let css = selector.replace(/^css=/, ''), wishes = [], visible = false;
    for (;;) {
        const text = css.match(/:has-text\((["'])(.*?)\1\)$/);
        if (text) { wishes.push(plain(text[2])); css = css.slice(0, text.index); continue; }
        if (css.endsWith(':visible')) { visible = true; css = css.slice(0, -8); continue; }
        break;
    }
    return [...document.querySelectorAll(css || '*')].filter(element =>
        wishes.every(wish => plain(element.textContent).includes(wish)) && (!visible || seen(element)));
})"#;

/// A question about the elements of a selector.
#[derive(Debug, Clone, Copy)]
pub(super) enum Question {
    /// How many there are.
    Count,
    /// Whether the first one can be seen.
    Visible,
    /// The text of the first one, or `null`.
    Text,
    /// The texts of all that can be seen.
    VisibleTexts,
    /// Brings the first one that can be used into view and says where its middle is, or `null`.
    Middle,
    /// Puts the keyboard into the first one and takes what stands in it; whether that worked.
    Focus,
    /// Tells the page that what stands in the focused element was changed.
    Changed,
}

impl Question {
    /// The expression for it.
    pub(super) fn expression(self, selector: &str) -> String {
        let body = match self {
            Self::Count => "all.length",
            Self::Visible => "all.length > 0 && seen(all[0])",
            Self::Text => "all.length > 0 ? all[0].textContent : null",
            Self::VisibleTexts => {
                "all.filter(seen).map(element => element.textContent.trim()).filter(text => text)"
            }
            Self::Middle => {
                "(() => { const one = all.find(element => seen(element) && !element.disabled); if (!one) return null; \
                 one.scrollIntoView({block: 'center', inline: 'center'}); const box = one.getBoundingClientRect(); \
                 return [box.x + box.width / 2, box.y + box.height / 2]; })()"
            }
            Self::Focus => {
                "(() => { const one = all.find(element => seen(element) && !element.disabled && !element.readOnly); \
                 if (!one) return false; one.focus(); \
                 if (one.select) one.select(); else getSelection().selectAllChildren(one); return true; })()"
            }
            Self::Changed => {
                "all.filter(element => element === document.activeElement)\
                 .forEach(element => element.dispatchEvent(new Event('change', {bubbles: true})))"
            }
        };
        let selector = Value::from(selector);
        format!(
            "(() => {{ const all = {FIND}({selector}); const seen = element => {{ \
             const box = element.getBoundingClientRect(), style = getComputedStyle(element); \
             return box.width > 0 && box.height > 0 && style.visibility !== 'hidden'; }}; return {body}; }})()"
        )
    }
}
