// SPDX-License-Identifier: Apache-2.0
import CQuernKernels
import SystemPackage

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// The system calls that swift-system does not wrap, in its form: each retries when a signal interrupts it, and
/// returns or throws an `Errno`.
enum SystemCalls {
    static let pageSize = Int(sysconf(CInt(_SC_PAGESIZE)))

    /// Repeats `call` while it is interrupted.
    static func retrying(_ call: () -> CInt) throws(Errno) {
        while call() == -1 {
            let reason = Errno(rawValue: errno)
            if reason != .interrupted { throw reason }
        }
    }

    /// The corresponding C function is `mkdir`.
    static func makeDirectory(_ path: FilePath) throws(Errno) {
        try retrying { path.withPlatformString { mkdir($0, 0o700) } }
    }

    /// The corresponding C function is `rename`.
    static func rename(_ source: FilePath, to target: FilePath) throws(Errno) {
        try retrying {
            source.withPlatformString { from in
                target.withPlatformString { to in systemRename(from, to) }
            }
        }
    }

    /// The corresponding C function is `unlink`.
    static func unlink(_ path: FilePath) throws(Errno) {
        try retrying { path.withPlatformString { systemUnlink($0) } }
    }

    /// The names in an open directory, without `.` and `..`. The descriptor is closed whatever happens.
    ///
    /// The corresponding C functions are `fdopendir`, `readdir` and `closedir`.
    static func names(inDirectory descriptor: FileDescriptor) throws(Errno) -> [String] {
        guard let stream = fdopendir(descriptor.rawValue) else {
            let reason = Errno(rawValue: errno)
            try? descriptor.close()
            throw reason
        }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0  // The only way to tell the end from an error.
            guard let entry = readdir(stream) else {
                if errno != 0 { throw Errno(rawValue: errno) }
                return names
            }
            // By address: copying the entry would read beyond its end, for it is as long as its name.
            let place = UnsafeRawPointer(entry) + MemoryLayout<dirent>.offset(of: \dirent.d_name)!
            let name = String(cString: place.assumingMemoryBound(to: CChar.self))
            if name != "." && name != ".." { names.append(name) }
        }
    }
}

extension FileDescriptor {
    /// Returns when the content, and what is needed to read it, is on disk.
    ///
    /// The corresponding C function is `fdatasync`. On Darwin it is `fcntl` with `F_FULLFSYNC`, because `fsync` leaves
    /// the data in the drive's cache there, and `fsync` on volumes that do not know it.
    func synchronizeData() throws(Errno) {
        #if canImport(Darwin)
            try fullSynchronize()
        #else
            try SystemCalls.retrying { fdatasync(rawValue) }
        #endif
    }

    /// Returns when all of the file or directory is on disk.
    ///
    /// The corresponding C function is `fsync`.
    func synchronizeAll() throws(Errno) {
        #if canImport(Darwin)
            try fullSynchronize()
        #else
            try SystemCalls.retrying { fsync(rawValue) }
        #endif
    }

    /// Gives back the space of these bytes, where the file system can do that.
    ///
    /// The corresponding C function is `fallocate` with `FALLOC_FL_PUNCH_HOLE`.
    func punchHole(_ range: Range<Int>) {
        _ = quern_punch_hole(rawValue, Int64(range.lowerBound), Int64(range.count))
    }

    #if canImport(Darwin)
        private func fullSynchronize() throws(Errno) {
            do {
                try SystemCalls.retrying { fcntl(rawValue, F_FULLFSYNC) }
            } catch {
                // Only "not here" may fall back: after a real failure a second sync can report success falsely.
                let notHere: [Errno] = [.notSupported, .inappropriateIOCTLForDevice, .invalidArgument]
                guard notHere.contains(error) else { throw error }
                try SystemCalls.retrying { fsync(rawValue) }
            }
        }
    #endif

    /// Takes an exclusive lock on the open file, without waiting.
    ///
    /// The corresponding C function is `flock`, whose locks belong to the open file: unlike record locks they also
    /// exclude the same process, and closing another descriptor of the file does not drop them.
    func lockExclusively() throws(Errno) {
        try SystemCalls.retrying { flock(rawValue, LOCK_EX | LOCK_NB) }
    }

    /// Gives the lock back, also for copies of the descriptor that a fork has made.
    func unlock() {
        _ = flock(rawValue, LOCK_UN)
    }

    /// Maps the first `length` bytes to read, and tells the kernel that they will be read in order.
    ///
    /// The corresponding C functions are `mmap` and `madvise`.
    func mapToRead(length: Int) throws(Errno) -> UnsafeRawBufferPointer {
        let address = mmap(nil, length, PROT_READ, MAP_SHARED, rawValue, 0)
        guard let address, address != MAP_FAILED else { throw Errno(rawValue: errno) }
        _ = madvise(address, length, MADV_SEQUENTIAL)  // Advice: no harm when it is refused.
        return UnsafeRawBufferPointer(start: address, count: length)
    }
}

extension UnsafeRawBufferPointer {
    /// Ends a mapping.
    ///
    /// The corresponding C function is `munmap`.
    func unmapMemory() {
        if let baseAddress { _ = munmap(UnsafeMutableRawPointer(mutating: baseAddress), count) }
    }

    /// Gives back the pages that lie wholly inside these mapped bytes. Read again, they come from the file again.
    ///
    /// The corresponding C function is `madvise` with `MADV_DONTNEED`.
    func discardMemory() {
        guard let pages = wholePages(of: UInt(SystemCalls.pageSize)),
            let first = UnsafeMutableRawPointer(bitPattern: pages.lowerBound)
        else { return }
        let result = madvise(first, pages.count, MADV_DONTNEED)
        assert(result == 0, "madvise: \(errno)")
    }

    /// The addresses of the pages that lie wholly inside these bytes; nil when there are none.
    func wholePages(of size: UInt) -> Range<UInt>? {
        let start = UInt(bitPattern: baseAddress)
        let first = (start &+ (size - 1)) & ~(size - 1)
        let end = (start &+ UInt(count)) & ~(size - 1)
        return first < end ? first..<end : nil
    }
}

// Inside `SystemCalls` these names mean its own functions.
private func systemRename(_ source: UnsafePointer<CChar>, _ target: UnsafePointer<CChar>) -> CInt {
    rename(source, target)
}

private func systemUnlink(_ path: UnsafePointer<CChar>) -> CInt { unlink(path) }
