//! Writers for what the crate itself only reads.

use maven_layout::pom::{Build, BuildPlugin, Dependency, Profile};
use maven_layout::{Pom, Settings};

/// An element with a text; nothing if there is none.
fn value(out: &mut String, name: &str, text: Option<&String>) {
    let Some(text) = text else { return };
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\r', "&#13;");
    out.push_str(&format!("<{name}>{text}</{name}>"));
}

fn group(out: &mut String, name: &str, content: impl FnOnce(&mut String)) {
    out.push_str(&format!("<{name}>"));
    content(out);
    out.push_str(&format!("</{name}>"));
}

fn list<T>(out: &mut String, way: &[&str], all: &[T], one: impl Fn(&mut String, &T)) {
    if all.is_empty() {
        return;
    }
    way.iter().for_each(|name| out.push_str(&format!("<{name}>")));
    all.iter().for_each(|item| one(out, item));
    way.iter().rev().for_each(|name| out.push_str(&format!("</{name}>")));
}

fn coordinates(out: &mut String, group: Option<&String>, artifact: Option<&String>, version: Option<&String>) {
    value(out, "groupId", group);
    value(out, "artifactId", artifact);
    value(out, "version", version);
}

fn dependency(out: &mut String, dependency: &Dependency) {
    group(out, "dependency", |out| {
        coordinates(out, dependency.group_id.as_ref(), dependency.artifact_id.as_ref(), dependency.version.as_ref());
        value(out, "type", dependency.kind.as_ref());
        value(out, "classifier", dependency.classifier.as_ref());
        value(out, "scope", dependency.scope.as_ref());
        value(out, "optional", dependency.optional.as_ref());
        list(out, &["exclusions"], &dependency.exclusions, |out, exclusion| {
            group(out, "exclusion", |out| {
                coordinates(out, exclusion.group_id.as_ref(), exclusion.artifact_id.as_ref(), None);
            });
        });
    });
}

fn plugin(out: &mut String, plugin: &BuildPlugin) {
    group(out, "plugin", |out| {
        coordinates(out, plugin.group_id.as_ref(), plugin.artifact_id.as_ref(), plugin.version.as_ref());
        value(out, "extensions", plugin.extensions.as_ref());
        list(out, &["dependencies"], &plugin.dependencies, dependency);
    });
}

fn build(out: &mut String, build: &Build) {
    group(out, "build", |out| {
        list(out, &["plugins"], &build.plugins, plugin);
        list(out, &["pluginManagement", "plugins"], &build.managed_plugins, plugin);
        list(out, &["extensions"], &build.extensions, |out, extension| {
            group(out, "extension", |out| {
                coordinates(
                    out,
                    extension.group_id.as_ref(),
                    extension.artifact_id.as_ref(),
                    extension.version.as_ref(),
                );
            });
        });
    });
}

/// What a project and a profile have in common, seen as a profile.
fn common(out: &mut String, profile: &Profile) {
    let properties: Vec<_> = profile.properties.iter().collect();
    list(out, &["properties"], &properties, |out, (name, text)| value(out, name, Some(text)));
    list(out, &["modules"], &profile.modules, |out, module| value(out, "module", Some(module)));
    list(out, &["dependencies"], &profile.dependencies, dependency);
    list(out, &["dependencyManagement", "dependencies"], &profile.managed_dependencies, dependency);
    build(out, &profile.build);
}

pub(crate) fn pom(pom: &Pom) -> String {
    let mut out = String::new();
    group(&mut out, "project", |out| {
        if let Some(parent) = &pom.parent {
            group(out, "parent", |out| {
                coordinates(out, parent.group_id.as_ref(), parent.artifact_id.as_ref(), parent.version.as_ref());
                value(out, "relativePath", parent.relative_path.as_ref());
            });
        }
        coordinates(out, pom.group_id.as_ref(), pom.artifact_id.as_ref(), pom.version.as_ref());
        value(out, "packaging", pom.packaging.as_ref());
        value(out, "name", pom.name.as_ref());
        value(out, "url", pom.url.as_ref());
        if let Some(scm) = &pom.scm {
            group(out, "scm", |out| {
                value(out, "connection", scm.connection.as_ref());
                value(out, "developerConnection", scm.developer_connection.as_ref());
                value(out, "url", scm.url.as_ref());
                value(out, "tag", scm.tag.as_ref());
            });
        }
        if let Some(moved) = &pom.relocation {
            out.push_str("<distributionManagement>");
            group(out, "relocation", |out| {
                coordinates(out, moved.group_id.as_ref(), moved.artifact_id.as_ref(), moved.version.as_ref());
                value(out, "message", moved.message.as_ref());
            });
            out.push_str("</distributionManagement>");
        }
        common(
            out,
            &Profile {
                properties: pom.properties.clone(),
                modules: pom.modules.clone(),
                dependencies: pom.dependencies.clone(),
                managed_dependencies: pom.managed_dependencies.clone(),
                build: pom.build.clone(),
                ..Profile::default()
            },
        );
        list(out, &["profiles"], &pom.profiles, |out, profile| {
            group(out, "profile", |out| {
                value(out, "id", profile.id.as_ref());
                if profile.active_by_default.is_some() {
                    group(out, "activation", |out| value(out, "activeByDefault", profile.active_by_default.as_ref()));
                }
                common(out, profile);
            });
        });
    });
    out
}

pub(crate) fn settings(settings: &Settings) -> String {
    let mut out = String::new();
    group(&mut out, "settings", |out| {
        value(out, "localRepository", settings.local_repository.as_ref());
        list(out, &["mirrors"], &settings.mirrors, |out, mirror| {
            group(out, "mirror", |out| {
                value(out, "id", Some(&mirror.id));
                value(out, "mirrorOf", Some(&mirror.mirror_of));
                value(out, "url", Some(&mirror.url));
                value(out, "blocked", Some(&mirror.blocked.to_string()));
            });
        });
    });
    out
}
