//! What the system says about memory: what this process holds, and what it could still take.

use std::path::Path;

const STATUS: &str = "/proc/self/status";

/// Resident bytes of this process now, where the system tells.
pub fn resident_bytes() -> Option<usize> {
    kibibytes(STATUS, "VmRSS:")
}

/// Largest resident bytes of this process so far.
pub fn peak_bytes() -> Option<usize> {
    kibibytes(STATUS, "VmHWM:")
}

/// Bytes that this process could still take: what Linux counts as available, or what is left of the limits of its control groups
/// where that is less. `None` where the system does not tell.
pub fn available_bytes() -> Option<usize> {
    let membership = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let of_groups = left_in_groups(Path::new("/sys/fs/cgroup"), &membership);
    [kibibytes("/proc/meminfo", "MemAvailable:"), of_groups].into_iter().flatten().min()
}

/// A number of KiB in one of the kernel's lists, in bytes.
fn kibibytes(list: &str, key: &str) -> Option<usize> {
    const KIB: usize = 1024;
    let text = std::fs::read_to_string(list).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()? * KIB)
}

/// Names of a version of control groups: the limit and the usage in bytes, and the lines of `memory.stat` that count file pages,
/// which the kernel drops when memory is short.
struct Names {
    limit: &'static str,
    usage: &'static str,
    file_pages: [&'static str; 2],
}

const VERSION_1: Names = Names {
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    file_pages: ["total_inactive_file ", "total_active_file "],
};

const VERSION_2: Names =
    Names { limit: "memory.max", usage: "memory.current", file_pages: ["inactive_file ", "active_file "] };

/// The least that any group which limits this process has left. `membership` is `/proc/self/cgroup`: lines `NUMBER:CONTROLLERS:PATH`,
/// without controllers for version 2. Inside a container the path may be the host's; then the mounted root is the container's group.
fn left_in_groups(root: &Path, membership: &str) -> Option<usize> {
    let left = membership.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let (mount, names) = match controllers {
            "" => (root.to_owned(), VERSION_2),
            list if list.split(',').any(|controller| controller == "memory") => (root.join("memory"), VERSION_1),
            _ => return None,
        };
        let group = mount.join(path.trim_start_matches('/'));
        let groups = group.ancestors().take_while(|group| group.starts_with(&mount));
        groups.filter_map(|group| left_in_group(group, &names)).min()
    });
    left.min()
}

/// What is left of one group's limit; `None` where it has none.
fn left_in_group(group: &Path, names: &Names) -> Option<usize> {
    let text = |name: &str| std::fs::read_to_string(group.join(name)).ok();
    let number = |name: &str| text(name)?.trim().parse::<usize>().ok();
    let limit = number(names.limit)?;
    let statistics = text("memory.stat").unwrap_or_default();
    let pages = |key: &&str| statistics.lines().find_map(|line| line.strip_prefix(*key)?.parse::<usize>().ok());
    let file_pages = names.file_pages.iter().filter_map(pages).sum();
    Some(limit.saturating_sub(number(names.usage).unwrap_or(0).saturating_sub(file_pages)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(root: &Path, path: &str, files: &[(&str, &str)]) {
        let folder = root.join(path);
        std::fs::create_dir_all(&folder).expect("a folder");
        files.iter().for_each(|(name, text)| std::fs::write(folder.join(name), text).expect("a file"));
    }

    #[test]
    fn the_tightest_group_of_version_2_counts_without_its_file_pages() {
        let root = tempfile::tempdir().expect("a folder");
        let root = root.path();
        group(root, "", &[]);
        group(root, "user", &[("memory.max", "1000\n"), ("memory.current", "700\n")]);
        let statistics = "anon 100\ninactive_file 30\nactive_file 20\n";
        group(root, "user/job", &[("memory.max", "800\n"), ("memory.current", "600\n"), ("memory.stat", statistics)]);
        group(root, "free", &[("memory.max", "max\n"), ("memory.current", "5\n")]);
        assert_eq!(left_in_groups(root, "0::/user/job\n"), Some(250));
        assert_eq!(left_in_groups(root, "0::/user\n"), Some(300));
        assert_eq!(left_in_groups(root, "0::/free\n"), None);
        assert_eq!(left_in_groups(root, "no groups"), None);
    }

    #[test]
    fn a_group_of_version_1_is_found_in_a_container_that_does_not_see_its_path() {
        let root = tempfile::tempdir().expect("a folder");
        let root = root.path();
        let statistics = "inactive_file 1\ntotal_inactive_file 40\ntotal_active_file 10\n";
        let files =
            [("memory.limit_in_bytes", "500\n"), ("memory.usage_in_bytes", "300\n"), ("memory.stat", statistics)];
        group(root, "memory", &files);
        assert_eq!(left_in_groups(root, "3:cpu,cpuacct:/x\n2:hugetlb,memory:/docker/abc\n"), Some(250));
        assert_eq!(left_in_groups(root, "3:cpu,cpuacct:/x\n"), None);
    }
}
