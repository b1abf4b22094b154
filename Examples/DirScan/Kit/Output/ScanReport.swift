// SPDX-License-Identifier: Apache-2.0
public import Quern

/// What `dirscan` says at the end: the scan's totals, and how this run came to them.
@dynamicMemberLookup
public struct ScanReport: Equatable, Sendable {
    public var totals: CatalogTotals
    /// Whether this run went on with a scan that an earlier one had begun.
    public var resumed = false
    public var duration: Duration = .zero
    public var peakResidentBytes: UInt64 = 0

    public typealias Failure = CatalogTotals.Failure

    public init(_ totals: CatalogTotals = CatalogTotals()) { self.totals = totals }

    public subscript<Value>(dynamicMember member: WritableKeyPath<CatalogTotals, Value>) -> Value {
        get { totals[keyPath: member] }
        set { totals[keyPath: member] = newValue }
    }

    var finalizeDuration: Duration { .nanoseconds(totals.finalizeNanoseconds) }

    /// The report as one line of JSON, without a line feed.
    public var json: String {
        var line = JSONLine()
        line.object { line in
            func field(_ name: String, _ value: UInt64) {
                line.name(name)
                line.number(value)
            }
            field("directories", totals.directories)
            field("files", totals.files)
            field("bytes", totals.bytes)
            field("discovered", totals.discovered)
            field("skipped", totals.skipped)
            field("deleted", totals.deleted)
            field("failed", totals.failed)
            line.name("failures")
            line.array { line in for failure in totals.failures { failure.write(to: &line) } }
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
