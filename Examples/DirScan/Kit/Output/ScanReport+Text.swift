// SPDX-License-Identifier: Apache-2.0
import Quern

extension ScanReport {
    /// The report for people.
    public func text(root: PathBytes) -> String {
        var lines = [
            "\(root): \(Self.grouped(totals.directories)) directories, \(Self.grouped(totals.files)) files, "
                + "\(Self.grouped(totals.bytes)) bytes",
            "\(Self.grouped(totals.discovered)) discovered, \(Self.grouped(totals.skipped)) skipped, "
                + "\(Self.grouped(totals.deleted)) deleted",
        ]
        if totals.failed > 0 {
            let classes = totals.failures.map { failure in
                let more = failure.count > UInt64(failure.samples.count) ? ", ..." : ""
                return "\(failure.reason): " + failure.samples.joined(separator: ", ") + more
            }
            lines.append(
                "\(Self.grouped(totals.failed)) of \(Self.grouped(totals.directories + totals.failed)) directories "
                    + "failed: "
                    + classes.joined(separator: "; "))
        }
        lines.append(
            "\(Self.seconds(duration)) s (finalize \(Self.seconds(finalizeDuration)) s), "
                + "peak memory \(peakResidentBytes >> 20) MiB" + (resumed ? ", resumed" : ""))
        return lines.joined(separator: "\n")
    }

    /// 1234567 as 1,234,567.
    static func grouped(_ value: UInt64) -> String {
        var text = ""
        for (index, digit) in String(value).reversed().enumerated() {
            if index > 0, index % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return String(text.reversed())
    }

    static func seconds(_ duration: Duration) -> String {
        let milliseconds = Int64(duration / .milliseconds(1))
        let fraction = String(milliseconds % 1000)
        return "\(milliseconds / 1000)." + String(repeating: "0", count: 3 - fraction.count) + fraction
    }
}

extension PathBytes {
    /// A file name that stands for this path, the same in every run.
    public var stableName: String {
        let hash = bytes.withUnsafeBytes { StableHash.hash($0, seed: 2) }
        let text = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }
}
