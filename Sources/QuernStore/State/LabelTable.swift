// SPDX-License-Identifier: Apache-2.0

/// The names that the store remembers. Their labels go from 1 without a gap, so that a number is known to be defined by
/// one comparison.
struct LabelTable: Sendable, Equatable {
    /// In the order of their labels.
    private(set) var names: [String] = []
    private var labels: [ExactName: Label] = [:]
    /// Labels whose names are lost.
    private var assumed: Set<UInt32> = []

    /// The label that was defined last; 0 when there is none.
    var last: UInt32 { UInt32(clamping: names.count) }

    /// The labels whose names are lost, in order.
    var lost: [Label] { assumed.sorted().map { Label(rawValue: $0) } }

    /// Whether a name has this label. 0 wraps round to a number that none has.
    func defines(_ label: UInt32) -> Bool { label &- 1 < last }

    func label(for name: String) -> Label? { labels[ExactName(name)] }

    func name(of label: Label) -> String? { defines(label.rawValue) ? names[Int(label.rawValue) - 1] : nil }

    /// Gives a name the next label, which `label` must be.
    mutating func define(_ name: String, as label: Label) throws(DecodingFailure) {
        guard label.rawValue > 0, label.rawValue - 1 == last, labels[ExactName(name)] == nil else {
            throw DecodingFailure("label \(label.rawValue) behind \(last)")
        }
        names.append(name)
        labels[ExactName(name)] = label
    }

    /// Gives the labels up to one names that nobody chose, when theirs are lost.
    mutating func assume(upTo label: UInt32) throws(DecodingFailure) {
        guard label <= Self.assumedLimit else { throw DecodingFailure("label \(label), which no name has") }
        while last < label {
            var name = "lost name \(last + 1)"
            while labels[ExactName(name)] != nil { name += "'" }
            try define(name, as: Label(rawValue: last + 1))
            assumed.insert(last)
        }
    }

    /// Takes over a name that something tells of a label, when no other is known.
    mutating func restore(_ name: String, as label: Label) throws(DecodingFailure) {
        guard label.rawValue > 0 else { throw DecodingFailure("label 0") }
        if label.rawValue > last {
            try assume(upTo: label.rawValue - 1)
            return try define(name, as: label)
        }
        guard assumed.contains(label.rawValue), labels[ExactName(name)] == nil else { return }
        assumed.remove(label.rawValue)
        let index = Int(label.rawValue) - 1
        labels[ExactName(names[index])] = nil
        names[index] = name
        labels[ExactName(name)] = label
    }

    /// Takes over the names that another table knows of labels whose names are lost here.
    mutating func adopt(_ other: LabelTable) throws(DecodingFailure) {
        for (index, name) in other.names.enumerated() where !other.assumed.contains(UInt32(index + 1)) {
            try restore(name, as: Label(rawValue: UInt32(index + 1)))
        }
    }

    /// More names than anybody has.
    private static let assumedLimit: UInt32 = 1 << 16

    /// Checks a label that something uses.
    func check(_ label: UInt32) throws(DecodingFailure) {
        guard defines(label) else { throw DecodingFailure("label \(label), which no name has") }
    }
}
