// SPDX-License-Identifier: Apache-2.0
import SystemPackage

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Who holds a store, as text in its lock file: for the message that a second writer sees (F25).
enum LockHolder {
    static var current: String { "process \(getpid()) on \(hostName)\n" }

    private static var hostName: String {
        let name = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 257) { buffer -> String in
            buffer.initialize(repeating: 0)
            guard gethostname(buffer.baseAddress!, 256) == 0 else { return "" }
            return String(cString: buffer.baseAddress!)
        }
        return name.isEmpty ? "an unnamed host" : name
    }

    /// What the lock file says, without taking the lock.
    static func read(_ path: FilePath, _ fileSystem: any FileSystem) -> String {
        guard let bytes = try? fileSystem.open(path, .readOnly).read(count: 512, at: 0), !bytes.isEmpty else {
            return "unknown"
        }
        var text = String(decoding: bytes, as: UTF8.self)
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}
