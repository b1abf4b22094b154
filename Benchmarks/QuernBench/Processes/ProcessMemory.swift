// SPDX-License-Identifier: Apache-2.0
import QuernStore
import SystemPackage

#if canImport(Glibc)
    /// No module map has its header.
    @_silgen_name("malloc_trim") private func mallocTrim(_ padding: Int) -> CInt
#endif

/// The memory of this process, in bytes, as Linux counts it; zero on other systems.
///
/// `getrusage` would not do for the peak: a process inherits it from the one that started it.
enum ProcessMemory {
    /// What is resident now.
    static var resident: Int { field("VmRSS:") }

    /// Of that what is no page of a file.
    static var anonymous: Int { field("RssAnon:") }

    /// Open descriptors, one of which is that of the question.
    static var descriptors: Int { (try? PosixFileSystem().list("/proc/self/fd").count) ?? 0 }

    /// Has the allocator give back to the system what nobody uses, as far as it can.
    static func giveBack() {
        #if canImport(Glibc)
            _ = mallocTrim(0)
        #endif
    }

    /// The most that was ever resident.
    static var peak: Int { field("VmHWM:") }

    private static func field(_ name: String) -> Int {
        guard let file = try? FileDescriptor.open("/proc/self/status", .readOnly) else { return 0 }
        defer { try? file.close() }
        let bytes = [UInt8](unsafeUninitializedCapacity: 8 << 10) { buffer, count in
            count = (try? file.read(into: UnsafeMutableRawBufferPointer(buffer))) ?? 0
        }
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") where line.hasPrefix(name) {
            return line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }.map { $0 << 10 }
                ?? 0
        }
        return 0
    }
}

extension ProcessMemory {
    /// Bytes that this process has given to calls that write.
    ///
    /// What the kernel counts as written to storage would be more, and not what an engine asked for: it counts whole
    /// folios of the page cache, so that a small append counts like a large one. Linux alone knows: zero elsewhere.
    static var writtenBytes: Int {
        guard let file = try? FileDescriptor.open("/proc/self/io", .readOnly) else { return 0 }
        defer { try? file.close() }
        let bytes = [UInt8](unsafeUninitializedCapacity: 4 << 10) { buffer, count in
            count = (try? file.read(into: UnsafeMutableRawBufferPointer(buffer))) ?? 0
        }
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") where line.hasPrefix("wchar:") {
            return line.split(separator: " ").last.flatMap { Int($0) } ?? 0
        }
        return 0
    }
}
