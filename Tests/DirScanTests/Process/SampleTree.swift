// SPDX-License-Identifier: Apache-2.0
@testable import DirScanKit

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

extension TemporaryDirectory {
    /// Fills a new sub-directory with directories in a shape drawn from the generator, and files of odd sizes in them.
    ///
    /// - Returns: the paths of the directories, relative to this one, the first one included.
    @discardableResult
    func makeTree(
        _ name: String, directories: Int, files: Int = 2, generator: inout SeededGenerator
    ) -> [String] {
        makeDirectory(name)
        var paths = [name]
        for index in 1..<directories {
            // Near the latest ones, so that the tree is deep as well as wide.
            let parent = paths[Int.random(in: max(0, index - 40)..<index, using: &generator)]
            paths.append("\(parent)/d\(index)")
            makeDirectory(paths[index])
        }
        for path in paths {
            for index in 0..<files { makeFile("\(path)/f\(index)", size: .random(in: 0...5000, using: &generator)) }
        }
        return paths
    }

    /// Removes a directory with all it holds.
    func removeTree(_ name: String) { check(Privileges.succeeds(["rm", "-rf", "\(path.appending(name))"]) ? 0 : -1) }

    /// The bytes of all files below a directory, or 0 when it is not there: how far a store has grown. Zeros at the end
    /// of a file do not count, for a store writes them ahead of its log.
    func size(of name: String) -> Int { Walk(path.appending(name), countsZerosAtEnd: false).bytes }
}

/// A walk of a tree that shares nothing with dirscan's own.
struct Walk {
    private(set) var directories = 0
    private(set) var files = 0
    private(set) var bytes = 0

    private let countsZerosAtEnd: Bool

    init(_ root: PathBytes, countsZerosAtEnd: Bool = true) {
        self.countsZerosAtEnd = countsZerosAtEnd
        visit(root.withCString { open($0, O_RDONLY | O_DIRECTORY | O_CLOEXEC) })
    }

    private mutating func visit(_ descriptor: Int32) {
        guard descriptor >= 0, let stream = fdopendir(descriptor) else { return }
        defer { closedir(stream) }
        directories += 1
        while let entry = readdir(stream) {
            let name = (UnsafeRawPointer(entry) + MemoryLayout<dirent>.offset(of: \.d_name)!)
                .assumingMemoryBound(to: CChar.self)
            if strcmp(name, ".") == 0 || strcmp(name, "..") == 0 { continue }
            var status = stat()
            if fstatat(descriptor, name, &status, AT_SYMLINK_NOFOLLOW) != 0 { continue }
            if status.st_mode & S_IFMT == S_IFDIR {
                visit(openat(descriptor, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC))
            } else {
                files += 1
                let size = Int(status.st_size)
                bytes += countsZerosAtEnd ? size : used(openat(descriptor, name, O_RDONLY | O_CLOEXEC), size)
            }
        }
    }

    /// The length of a file without the zeros at its end. The descriptor is closed.
    private func used(_ descriptor: Int32, _ size: Int) -> Int {
        guard descriptor >= 0 else { return size }
        defer { close(descriptor) }
        var end = size
        var part = [UInt8](repeating: 0, count: 4096)
        while end > 0 {
            let start = max(0, end - part.count)
            guard pread(descriptor, &part, end - start, off_t(start)) == end - start else { return end }
            if let last = part[..<(end - start)].lastIndex(where: { $0 != 0 }) { return start + last + 1 }
            end = start
        }
        return 0
    }
}
