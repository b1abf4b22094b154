// SPDX-License-Identifier: Apache-2.0
import DirScanKit

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The terminal and the process, as far as the command needs them.
enum Console {
    /// Opens what was closed of the three standard streams, so that no file of the store gets one of their numbers and
    /// is written to by mistake. They are opened the wrong way round: writing to them still fails.
    static func reserveStandardStreams() {
        for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
            _ = open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY)
        }
    }

    /// - Throws: when not all of it was written.
    static func output(_ text: String) throws(CommandError) {
        let code = write(text + "\n", to: STDOUT_FILENO)
        if code != 0 {
            throw CommandError(.inputOutput, "cannot write the report: \(String(cString: strerror(code)))")
        }
    }

    static func error(_ text: String) { write(text + "\n", to: STDERR_FILENO) }

    /// Puts the cursor back to the start of the line, and erases what stood there.
    static func rewriteErrorLine(_ text: String) { write("\r\u{1B}[K" + text, to: STDERR_FILENO) }

    static var errorIsTerminal: Bool { isatty(STDERR_FILENO) == 1 }

    /// The most memory that the process had resident so far.
    static var peakResidentBytes: UInt64 {
        var usage = rusage()
        #if canImport(Glibc)
            getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
            return UInt64(usage.ru_maxrss) * 1024
        #else
            getrusage(RUSAGE_SELF, &usage)
            return UInt64(usage.ru_maxrss)
        #endif
    }

    /// A number with a fixed count of digits behind the point, without Foundation.
    static func fixed(_ value: Double, digits: Int) -> String {
        var scale = 1
        for _ in 0..<digits { scale *= 10 }
        let scaled = Int((value * Double(scale)).rounded())
        let fraction = String(scaled % scale)
        return "\(scaled / scale)." + String(repeating: "0", count: digits - fraction.count) + fraction
    }

    /// - Returns: 0, or the error number.
    @discardableResult
    private static func write(_ text: String, to descriptor: Int32) -> Int32 {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes {
                #if canImport(Glibc)
                    Glibc.write(descriptor, $0.baseAddress, $0.count)
                #else
                    Darwin.write(descriptor, $0.baseAddress, $0.count)
                #endif
            }
            if written > 0 { rest = rest.dropFirst(written) } else if errno != EINTR { return errno }
        }
        return 0
    }
}
