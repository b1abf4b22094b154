// SPDX-License-Identifier: Apache-2.0

/// What one directory held at one moment.
struct DirectoryListing: Sendable {
    /// Sub-directories to visit. Links to directories are entries, not sub-directories.
    var subdirectories = NameList()

    /// Sub-directories that lie on another file system and are left out by `--one-file-system`.
    var otherFileSystems = NameList()

    /// Everything that is not a directory, links included, in the order of ``EntryRecord``.
    var entries: [EntryRecord] = []

    /// The sum of the sizes of `entries`, as `find -printf %s` would add up.
    var bytes: UInt64 = 0
}
