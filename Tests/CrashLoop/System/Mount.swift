// SPDX-License-Identifier: Apache-2.0
import Foundation

#if canImport(Glibc)
    import Glibc
#endif

/// A small file system of the scenario's own, taken away when it ends.
final class Mount {
    let place: URL
    private let image: URL?

    /// One in memory.
    init(tmpfs place: URL, mebibytes: Int) throws {
        self.place = place
        image = nil
        try Self.begin(place)
        let (isDone, output) = Shell.run("mount -t tmpfs -o size=\(mebibytes)m tmpfs '\(place.path)'")
        if !isDone { throw LeftOut("no file system may be mounted here (\(output))") }
    }

    /// An ext4 in a file.
    init(ext4 place: URL, mebibytes: Int) throws {
        self.place = place
        let file = place.appendingPathExtension("image")
        image = file
        try Self.begin(place)
        let (isDone, output) = Shell.run(
            "truncate -s \(mebibytes)M '\(file.path)' && mkfs.ext4 -q -F '\(file.path)' && "
                + "mount -o loop '\(file.path)' '\(place.path)'")
        if !isDone { throw LeftOut("no ext4 in a file may be mounted here (\(output))") }
    }

    private static func begin(_ place: URL) throws {
        #if !os(Linux)
            throw LeftOut("only Linux has these mounts")
        #else
            guard geteuid() == 0 else { throw LeftOut("only root may mount a file system") }
            try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        #endif
    }

    deinit {
        if let image { try? FileManager.default.removeItem(at: image) }
        Shell.run("umount '\(place.path)' || umount -l '\(place.path)'")
    }

    func remount(_ options: String) throws { try Shell.require("mount -o remount,\(options) '\(place.path)'") }

    /// Takes the file system away from all and gives it back, as a restart of the machine does.
    func mountAgain() throws {
        guard let image else { return }
        try Shell.require("umount '\(place.path)' && mount -o loop '\(image.path)' '\(place.path)'")
    }

    /// Has every call fail from now on, as if the disk was pulled out: what was not synced is lost.
    func shutDown() throws {
        #if os(Linux)
            let directory = open(place.path, O_RDONLY)
            defer { close(directory) }
            // EXT4_GOING_FLAGS_NOLOGFLUSH
            var flags: UInt32 = 2
            // EXT4_IOC_SHUTDOWN
            guard ioctl(directory, 0x8004_587D, &flags) == 0 else { throw LeftOut("no ext4 can be shut down here") }
        #endif
    }
}
