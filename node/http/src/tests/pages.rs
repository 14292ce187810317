use axum::http::StatusCode;

use crate::testing::Face;

#[tokio::test]
async fn every_text_is_escaped_on_every_page() {
    let face = Face::new();
    for uri in ["/", "/release?gav=org.acme:lib:1.0", "/builds/b1", "/builds/none", "/release", "/release?gav=<script>"]
    {
        let uri = uri.replace('<', "%3C").replace('>', "%3E");
        let page = face.get(&uri).await;
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{uri}");
        let text = page.text();
        assert!(!text.contains("<script"), "{uri}: {text}");
        assert!(!text.contains("alert('x')"), "{uri}: {text}");
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    }
    assert!(face.get("/").await.text().contains("&lt;script&gt;"));
}

#[tokio::test]
async fn statuses() {
    let face = Face::new();
    for (uri, status) in [
        ("/", 200),
        ("/setup", 200),
        ("/style.css", 200),
        ("/release?gav=org.acme:lib:1.0", 200),
        ("/release?gav=nonsense", 400),
        ("/release", 400),
        ("/builds/none", 404),
    ] {
        assert_eq!(face.get(uri).await.status, StatusCode::from_u16(status).unwrap(), "{uri}");
    }
}

#[tokio::test]
async fn the_setup_page_has_the_snippets() {
    let face = Face::new();
    let page = face.get("/setup").await;
    let text = page.text();
    assert!(text.contains("&lt;url&gt;http://localhost:7888/maven2/&lt;/url&gt;"), "{text}");
    assert!(text.contains("&lt;mirrorOf&gt;central&lt;/mirrorOf&gt;"), "{text}");
    assert!(text.contains("&lt;mirrorOf&gt;*&lt;/mirrorOf&gt;"), "{text}");
    assert!(text.contains("allowInsecureProtocol"), "{text}");
}
