mod support;
use std::sync::Arc;
use build_spec::*;
#[tokio::test(flavor = "multi_thread")]
async fn proof() {
    let env = |n: &str| std::env::var(n).unwrap();
    let engine = support::engine().await.unwrap();
    let image = support::image(&engine).await;
    let folder = std::path::PathBuf::from(env("PROOF_DIR"));
    let builder = support::builder(&folder);
    let coordinates: maven_layout::Coordinates = env("PROOF_GAV").parse().unwrap();
    let request = SourceRequest { coordinates: vec![coordinates.clone()], repository: maven_layout::scm::canonical(&env("PROOF_REPO")).unwrap(), tag: Some(env("PROOF_TAG")), commit: None };
    let log = Arc::new(support::Kept::default());
    let source = builder.resolve(&request, log.clone()).await.unwrap();
    eprintln!("{source:#?}");
    let specification = Specification::from_toml(&std::fs::read_to_string(env("PROOF_SPEC")).unwrap()).unwrap();
    eprintln!("spec digest {} structured {:?}", specification.digest(), specification.structured());
    let work_dir = folder.join("work"); std::fs::create_dir_all(&work_dir).unwrap();
    let job = Job { run: RunId::new("proof"), coordinates: vec![coordinates], mode: Mode::Upstream, source, specification, image: image.digest, profile: SandboxProfile::v1(), work_dir };
    let upstream = support::Upstream::open();
    let t = std::time::Instant::now();
    let recorded = builder.record(&job, upstream.clone(), log.clone()).await.unwrap();
    eprintln!("RECORD {:?} {} lines {} bytes root {}", t.elapsed(), recorded.manifest.len(), recorded.manifest.total_bytes(), recorded.manifest.root());
    std::fs::write(folder.join("manifest.txt"), recorded.manifest.to_text()).unwrap();
    let t = std::time::Instant::now();
    let built = builder.replay(&job, &recorded.manifest, upstream.clone(), Arc::new(NoLog)).await.unwrap();
    eprintln!("REPLAY {:?} byproducts {:?}", t.elapsed(), built.byproducts);
    for f in &built.files { eprintln!("BUILT {} {} {}", f.name, f.digests.sha256, f.path.display()); }
    eprintln!("RECORDED SAME {}", recorded.result.unwrap().files.iter().map(|f| f.digests.sha256).eq(built.files.iter().map(|f| f.digests.sha256)));
}
