//! Objects in a directory: whole or absent, their tenant's alone, gone when removed.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use costlens_domain::TenantId;

use crate::{BadKey, ObjectKey, Objects, ObjectsError, OnceKey, Stored};

fn tenant(n: u8) -> TenantId {
    format!("ten_{n:032x}").parse().unwrap()
}

fn key(n: u8, name: &str) -> ObjectKey {
    ObjectKey::new(tenant(n), "bills", name).unwrap()
}

async fn keep(objects: &Objects, key: &ObjectKey, text: &str) -> Stored {
    let mut put = objects.put(key.clone(), 1_000).await.unwrap();
    for byte in text.as_bytes() {
        put.write(&[*byte]).await.unwrap();
    }
    put.finish().await.unwrap()
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn an_object_comes_back_as_it_went_and_only_its_owner_may_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let objects = Objects::local(&dir.path().join("objects")).unwrap();
    let stored = keep(&objects, &key(1, "upl_1"), "abc").await;
    // FIPS 180-2, appendix B.1.
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let told = hex::encode(stored.sha256);
    assert_eq!((stored.bytes, told.as_str()), (3, abc));

    let copy = objects.fetch(&key(1, "upl_1")).await.unwrap();
    assert_eq!(std::fs::read_to_string(copy.path()).unwrap(), "abc");
    assert_eq!(copy.path().file_name().unwrap(), "upl_1");
    assert_eq!(mode(copy.path()), 0o600);
    for folder in copy.path().ancestors().skip(1).take(3) {
        assert_eq!(mode(folder), 0o700, "{}", folder.display());
    }
    // Another process over the same directory.
    let again = Objects::local(&dir.path().join("objects")).unwrap();
    assert!(again.fetch(&key(1, "upl_1")).await.is_ok());
}

#[tokio::test]
async fn what_is_not_finished_is_not_there_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let objects = Objects::local(dir.path()).unwrap();
    let mut put = objects.put(key(1, "upl_1"), 10).await.unwrap();
    put.write(b"half").await.unwrap();
    let missing = objects.fetch(&key(1, "upl_1")).await;
    assert!(matches!(missing, Err(ObjectsError::Missing { .. })), "{missing:?}");
    // A process that dies here leaves what a list shows.
    let listed = objects.list_prefix(None, 10).await.unwrap();
    assert_eq!(listed.iter().map(|each| each.key.area()).collect::<Vec<_>>(), ["incoming"]);
    drop(put);
    assert_eq!(objects.count_prefix(tenant(1)).await.unwrap(), 0);
}

#[tokio::test]
async fn more_bytes_than_allowed_are_refused_and_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let objects = Objects::local(dir.path()).unwrap();
    let mut put = objects.put(key(1, "upl_1"), 4).await.unwrap();
    put.write(b"four").await.unwrap();
    let refused = put.write(b"!").await;
    assert!(matches!(refused, Err(ObjectsError::TooLarge { max_bytes: 4 })), "{refused:?}");
    assert!(put.finish().await.is_err());
    assert_eq!(objects.list_prefix(None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn removing_is_done_once_in_steps_and_of_one_tenant_alone() {
    let dir = tempfile::tempdir().unwrap();
    let objects = Objects::local(dir.path()).unwrap();
    for name in ["upl_1", "upl_2", "upl_3"] {
        keep(&objects, &key(1, name), "x").await;
    }
    keep(&objects, &key(2, "upl_4"), "x").await;
    objects.delete(&key(1, "upl_1")).await.unwrap();
    objects.delete(&key(1, "upl_1")).await.unwrap();
    assert_eq!(objects.count_prefix(tenant(1)).await.unwrap(), 2);
    let (mut walk, mut met) = (objects.walk(None), Vec::new());
    for many in [2, 1, 0] {
        let some = walk.next(2).await.unwrap();
        assert_eq!(some.len(), many);
        met.extend(some);
    }
    met.sort_by_key(|each| each.key.to_string());
    assert_eq!(met.iter().map(|each| each.key.name()).collect::<Vec<_>>(), ["upl_2", "upl_3", "upl_4"]);
    assert_eq!(objects.delete_prefix(tenant(1), 1).await.unwrap(), 1);
    assert_eq!(objects.delete_prefix(tenant(1), 5).await.unwrap(), 1);
    assert_eq!(objects.delete_prefix(tenant(1), 5).await.unwrap(), 0);
    assert_eq!(objects.count_prefix(tenant(2)).await.unwrap(), 1);
    assert_eq!(
        objects.list_prefix(None, 10).await.unwrap(),
        objects.list_prefix(Some(tenant(2)), 10).await.unwrap()
    );
}

#[test]
fn no_key_leads_out_of_its_tenants_part() {
    let of = |area: &str, name: &str| ObjectKey::new(tenant(1), area, name);
    for (area, name) in
        [("..", "x"), ("bills", ".."), ("bills", "a/b"), ("", "x"), ("bills", ""), ("bills", "x#1")]
    {
        assert_eq!(of(area, name), Err(BadKey), "{area} {name}");
    }
    let key = key(1, "upl_1");
    assert_eq!(key.to_string().parse(), Ok(key));
    assert_eq!("bills/upl_1".parse::<ObjectKey>(), Err(BadKey));
}

#[tokio::test]
async fn a_file_of_the_service_is_written_once_and_no_tenants_list_shows_it() {
    let dir = tempfile::tempdir().unwrap();
    let objects = Objects::local(dir.path()).unwrap();
    let key = OnceKey::new("audit_anchors", "00000001.json").unwrap();
    assert_eq!(objects.read_once(&key, 10).await.unwrap(), None);
    assert!(objects.keep_once(&key, b"first".to_vec()).await.unwrap());
    assert!(!objects.keep_once(&key, b"other".to_vec()).await.unwrap());
    assert_eq!(objects.read_once(&key, 5).await.unwrap().as_deref(), Some(b"first".as_slice()));
    let large = objects.read_once(&key, 4).await;
    assert!(matches!(large, Err(ObjectsError::TooLarge { .. })), "{large:?}");
    let file = dir.path().join("audit_anchors/00000001.json");
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o400, 0o700));
    assert_eq!(std::fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "a draft was left");
    // A draft of a process that died goes with the next file; one that may be in the making stays.
    let (dead, young) = (file.with_file_name(".dead"), file.with_file_name(".young"));
    let made = std::fs::File::create(&dead).unwrap();
    let written = made.metadata().unwrap().modified().unwrap();
    made.set_modified(written - std::time::Duration::from_secs(3_700)).unwrap();
    std::fs::write(&young, "").unwrap();
    assert!(objects.keep_once(&OnceKey::new("audit_anchors", "2.json").unwrap(), Vec::new()).await.unwrap());
    assert_eq!((dead.exists(), young.exists()), (false, true));
    assert_eq!(objects.list_prefix(None, 10).await.unwrap(), []);
    for bad in ["../x", ".x", "x..y", "a/b", ""] {
        assert_eq!(OnceKey::new("audit_anchors", bad), Err(BadKey), "{bad}");
    }
    assert_eq!(OnceKey::new(&tenant(1).to_string(), "x"), Err(BadKey));
}
