//! Pages about folders of the repository, for clients that look for versions there, and for people.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use maven_layout::RepoPath;
use pyrsia_repository::{Files, Listing, MAX_ENTRIES};

use crate::maven::absent;
use crate::pages::Markup;
use crate::problem::{NOSNIFF, SANDBOX, problem_response, repository_problem};

/// The answer for a folder; `None` for the repository itself, which is there even if nothing is in it.
pub(crate) async fn folder(files: &dyn Files, path: Option<&RepoPath>, head: bool) -> Response {
    match files.list(path).await {
        Ok(listing) => match path {
            Some(path) if listing.entries.is_empty() => absent(path, head),
            _ => page(path, &listing, head),
        },
        Err(error) => problem_response(&repository_problem(&error), head),
    }
}

fn page(path: Option<&RepoPath>, listing: &Listing, head: bool) -> Response {
    let text = render(path, listing);
    let length = HeaderValue::from(text.len());
    let mut response = Response::new(if head { Body::empty() } else { Body::from(text) });
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_LENGTH, length);
    // What is here changes with every request for something that is not.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_SECURITY_POLICY, SANDBOX);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    response
}

/// The page. Its only links are the children, relative to the folder: what a client finds in one is a name in it.
fn render(path: Option<&RepoPath>, listing: &Listing) -> String {
    let mut page = Markup::default();
    let title = path.map_or_else(|| "/".to_owned(), |path| format!("/{path}/"));
    page.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>").text(&title);
    page.raw("</title></head><body>\n<h1>").text(&title).raw("</h1>\n");
    if path.is_none() {
        page.raw("<p>This is a Maven repository. <code>/setup</code> on this server shows how to use it.</p>\n");
    }
    page.raw("<p>What this node has or the ledger names; other files come when they are asked for.</p>\n<ul>\n");
    for entry in &listing.entries {
        // A colon before the first slash would make the name of a scheme of what precedes it: it is escaped too.
        let Ok(name) = entry.trim_end_matches('/').parse::<RepoPath>() else { continue };
        let slash = if entry.ends_with('/') { "/" } else { "" };
        page.raw("<li><a href=\"").text(&name.to_url_path()).raw(slash).raw("\">").text(entry).raw("</a></li>\n");
    }
    page.raw("</ul>\n");
    if listing.truncated {
        page.raw("<p>There are more entries than are shown, at most ").text(&MAX_ENTRIES.to_string()).raw(".</p>\n");
    }
    page.raw("</body></html>\n");
    page.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_and_links_are_children() {
        let entries = ["1.0+b/", "a:b/", "x<y>&\"'.jar", "..hidden", "1.0/"].map(str::to_owned);
        let listing = Listing { entries: entries.into(), truncated: true };
        let page = render(Some(&"org/acme/lib".parse().unwrap()), &listing);
        let links: Vec<&str> = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(links, ["..hidden", "1.0+b/", "1.0/", "a%3Ab/", "x%3Cy%3E%26%22%27.jar"]);
        assert!(!page.contains("<y>") && page.contains("x&lt;y&gt;&amp;&quot;&#39;.jar"), "{page}");
        assert!(page.contains("There are more entries"), "{page}");
    }
}
