// SPDX-License-Identifier: Apache-2.0
@testable import DirScanKit

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What the user who runs the tests may do. Tests that need more are skipped.
enum Privileges {
    /// Runs a command as a user who owns nothing.
    static let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]

    static let canBecomeNobody = geteuid() == 0 && succeeds(nobody + ["true"])

    static let canMount: Bool = {
        guard geteuid() == 0 else { return false }
        let directory = TemporaryDirectory()
        guard let mount = TemporaryMount(on: directory.path) else { return false }
        mount.remove()
        return true
    }()

    static func succeeds(_ command: [String]) -> Bool {
        ChildProcess(
            [Array("/bin/sh".utf8), Array("-c".utf8), Array("exec \"$@\"".utf8), Array("sh".utf8)]
                + command.map { Array($0.utf8) }
        ).wait() == .exited(0)
    }
}

/// A file system in memory, mounted on a directory.
struct TemporaryMount {
    let path: PathBytes

    /// - Returns: nil when mounting is not allowed here.
    init?(on path: PathBytes, size: String = "1m") {
        self.path = path
        guard Privileges.succeeds(["mount", "-t", "tmpfs", "-o", "size=\(size)", "none", "\(path)"]) else { return nil }
    }

    func resize(_ size: String) -> Bool {
        Privileges.succeeds(["mount", "-o", "remount,size=\(size)", "\(path)"])
    }

    func remove() { _ = Privileges.succeeds(["umount", "\(path)"]) }
}
