// SPDX-License-Identifier: Apache-2.0

/// What `dirscan` says at the end.
public struct ScanReport: Equatable, Sendable {
    /// Directories that were listed, the root included.
    public var directories: UInt64 = 0
    /// Everything else in them, links included.
    public var files: UInt64 = 0
    public var bytes: UInt64 = 0
    public var discovered: UInt64 = 0
    public var skipped: UInt64 = 0
    public var deleted: UInt64 = 0
    /// Directories that were not listed.
    public var failed: UInt64 = 0
    public var failures: [Failure] = []
    /// Whether this run went on with a scan that an earlier one had begun.
    public var resumed = false
    public var duration: Duration = .zero
    public var finalizeDuration: Duration = .zero
    public var peakResidentBytes: UInt64 = 0

    /// One reason, how many directories failed for it, and some of them.
    public struct Failure: Equatable, Sendable {
        public var reason: String
        public var count: UInt64
        public var samples: [String]

        public init(reason: String, count: UInt64, samples: [String]) {
            self.reason = reason
            self.count = count
            self.samples = samples
        }
    }

    public init() {}

    /// The report as one line of JSON, without a line feed.
    public var json: String {
        var line = JSONLine()
        line.object { line in
            func field(_ name: String, _ value: UInt64) {
                line.name(name)
                line.number(value)
            }
            field("directories", directories)
            field("files", files)
            field("bytes", bytes)
            field("discovered", discovered)
            field("skipped", skipped)
            field("deleted", deleted)
            field("failed", failed)
            line.name("failures")
            line.array { line in for failure in failures { failure.write(to: &line) } }
            line.name("resumed")
            line.bool(resumed)
            line.name("seconds")
            line.seconds(duration)
            line.name("finalizeSeconds")
            line.seconds(finalizeDuration)
            field("peakResidentBytes", peakResidentBytes)
        }
        return line.text
    }
}

extension ScanReport.Failure {
    fileprivate func write(to line: inout JSONLine) {
        line.object { line in
            line.name("reason")
            line.string(reason)
            line.name("count")
            line.number(count)
            line.name("samples")
            line.array { line in for sample in samples { line.string(sample) } }
        }
    }
}
