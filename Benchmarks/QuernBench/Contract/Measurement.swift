// SPDX-License-Identifier: Apache-2.0

/// What a figure counts, by the names that programs know it by.
enum Metric: String, Sendable {
    case nanosecondsPerChild = "ns_per_child"
    case childrenPerSecond = "children_per_second"
    case bytesPerChild = "bytes_per_child"
    case milliseconds
    case peakResidentBytes = "peak_resident_bytes"
    case bytesPerSecond = "bytes_per_second"
    case writeAmplification = "write_amplification"
    case childrenPerSync = "children_per_sync"

    var unit: String {
        switch self {
        case .nanosecondsPerChild: "ns"
        case .childrenPerSecond: "children/s"
        case .bytesPerChild, .peakResidentBytes: "bytes"
        case .milliseconds: "ms"
        case .bytesPerSecond: "bytes/s"
        case .writeAmplification: "ratio"
        case .childrenPerSync: "children"
        }
    }

    var moreIsBetter: Bool { self == .childrenPerSecond || self == .bytesPerSecond || self == .childrenPerSync }
}

/// One figure of the output contract: a work, who did it, and what came out in each round.
struct Measurement {
    /// The name of an engine, or this.
    static let limit = "limit"

    var work: String
    var engine: String
    var metric: Metric
    /// Never empty.
    var samples: [Double]
    var synced: Bool?
    /// What a limit is, in words.
    var note: String?

    var median: Double { samples.median }
    var minimum: Double { samples.min() ?? 0 }
    var maximum: Double { samples.max() ?? 0 }

    /// A line of the contract. The texts are our own, without characters to escape.
    var json: String {
        var fields = [
            "\"work\":\"\(work)\"", "\"engine\":\"\(engine)\"", "\"metric\":\"\(metric.rawValue)\"",
            "\"value\":\(median)", "\"unit\":\"\(metric.unit)\"", "\"minimum\":\(minimum)", "\"maximum\":\(maximum)",
            "\"rounds\":\(samples.count)",
        ]
        if let synced { fields.append("\"durability\":\"\(synced ? "synced" : "buffered")\"") }
        if let note { fields.append("\"note\":\"\(note)\"") }
        return "{" + fields.joined(separator: ",") + "}"
    }
}
