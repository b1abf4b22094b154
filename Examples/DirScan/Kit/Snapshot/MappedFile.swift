// SPDX-License-Identifier: Apache-2.0
#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A file in memory, to read. It must not be cut while it is mapped; the snapshots of a store never are.
final class MappedFile: Sendable {
    let path: PathBytes
    let length: Int
    /// A number, since a pointer is not `Sendable`; the bytes behind it never change.
    private let address: UInt

    /// Maps an open file, which may be closed afterwards.
    init(descriptor: Int32, path: PathBytes) throws(SnapshotError) {
        var status = stat()
        if fstat(descriptor, &status) != 0 { throw .failed(call: "fstat", errno: errno, path) }
        self.path = path
        length = Int(status.st_size)
        if length == 0 {
            address = 0
            return
        }
        let start = mmap(nil, length, PROT_READ, MAP_PRIVATE, descriptor, 0)
        guard let start, start != MAP_FAILED else { throw .failed(call: "mmap", errno: errno, path) }
        madvise(start, length, MADV_RANDOM)
        address = UInt(bitPattern: start)
    }

    /// Opens and maps a file.
    convenience init(_ path: PathBytes) throws(SnapshotError) {
        let descriptor = path.withCString { open($0, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) }
        if descriptor < 0 { throw .failed(call: "open", errno: errno, path) }
        defer { close(descriptor) }
        try self.init(descriptor: descriptor, path: path)
    }

    deinit {
        if length > 0 { munmap(UnsafeMutableRawPointer(bitPattern: address), length) }
    }

    var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: address), count: length)
    }

    /// Takes the pages that lie wholly in `range` out of this process's memory. They stay in the page cache, and
    /// come back when they are touched, also by a thread that is reading them right now.
    func discard(_ range: Range<Int>) {
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let start = (range.lowerBound + page - 1) / page * page
        let end = range.upperBound >= length ? length : range.upperBound / page * page
        guard end > start else { return }
        madvise(UnsafeMutableRawPointer(bitPattern: address + UInt(start)), end - start, MADV_DONTNEED)
    }
}
