//! `/setup`: how to use the repository.

use super::markup::Markup;

/// `url` is the repository's address as the reader reached it.
pub(super) fn content(url: &str) -> Markup {
    let mut page = Markup::default();
    page.raw("<h2>Maven</h2><p>In ").code("~/.m2/settings.xml").raw(", inside ").code("<mirrors>").raw(":</p><pre>");
    page.text(&mirror(url, "central")).raw("</pre>");
    page.raw("<p>To send every repository of every build through this node, and hide those of the POMs, use this instead:</p><pre>");
    page.text(&mirror(url, "*")).raw("</pre>");
    page.raw("<h2>Gradle</h2><p>In ").code("settings.gradle").raw(":</p><pre>").text(&gradle(url)).raw("</pre>");
    page.raw("<h2>What the answers say</h2><p>Each file carries ").code("X-Pyrsia-Provenance");
    page.raw(": verified, equivalent, different, disputed, self-verified or unverified. ");
    page.code("pyrsia-maven verify GROUP:ARTIFACT:VERSION").raw(" checks a file of yours against the ledger.</p>");
    page
}

fn mirror(url: &str, of: &str) -> String {
    format!(
        "<mirror>\n  <id>pyrsia</id>\n  <name>Pyrsia</name>\n  <url>{url}</url>\n  <mirrorOf>{of}</mirrorOf>\n</mirror>\n"
    )
}

fn gradle(url: &str) -> String {
    format!(
        "dependencyResolutionManagement {{\n  repositories {{\n    maven {{\n      url = uri(\"{url}\")\n      \
         allowInsecureProtocol = true // plain http, on this machine only\n    }}\n  }}\n}}\n"
    )
}
