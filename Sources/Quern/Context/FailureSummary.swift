// SPDX-License-Identifier: Apache-2.0

/// The failures of many children in a few lines: by reason, with samples.
///
/// It is `Codable`, so that it can be part of a memo.
public struct FailureSummary: Sendable, Equatable, Codable {
    /// Failures of one reason.
    public struct Class: Sendable, Equatable, Codable {
        public var reason: String
        public var count: UInt64
        /// The details of the first ones; empty details are left out.
        public var samples: [String]

        public init(reason: String, count: UInt64, samples: [String]) {
            self.reason = reason
            self.count = count
            self.samples = samples
        }
    }

    /// Children that ended, in whichever way.
    public var children: UInt64
    /// Children that ended in failure.
    public var total: UInt64
    /// By count, the largest first; equal ones in the order in which they were first seen.
    public var classes: [Class]
    /// Failures of reasons that `classes` does not name.
    public var others: UInt64

    public init(children: UInt64 = 0, total: UInt64 = 0, classes: [Class] = [], others: UInt64 = 0) {
        self.children = children
        self.total = total
        self.classes = classes
        self.others = others
    }
}

extension FailureSummary: CustomStringConvertible {
    /// "3 of 238000 failed: permission denied (2): /a, /b; not a directory: /c; 12 others"
    public var description: String {
        var text = "\(total) of \(children) failed"
        let showsCounts = classes.count > 1 || others > 0
        var parts = classes.map { entry in
            var part = entry.reason
            if showsCounts, entry.count > 1 { part += " (\(entry.count))" }
            if !entry.samples.isEmpty {
                part += ": " + entry.samples.joined(separator: ", ")
                if entry.count > UInt64(entry.samples.count) { part += ", ..." }
            }
            return part
        }
        if others > 0 { parts.append("\(others) others") }
        if !parts.isEmpty { text += ": " + parts.joined(separator: "; ") }
        return text
    }
}

extension FailureSummary {
    /// Groups failures one at a time, in bounded memory.
    struct Builder {
        /// How many reasons are told apart.
        static let maximumReasons = 1024

        private let classLimit: Int
        private let sampleLimit: Int
        private var classes: [Class] = []
        private var positions: [String: Int] = [:]
        private var total: UInt64 = 0
        private var others: UInt64 = 0

        init(classes: Int, samplesPerClass: Int) {
            classLimit = max(0, classes)
            sampleLimit = max(0, samplesPerClass)
        }

        mutating func add(_ failure: FailureInfo) {
            total += 1
            guard let position = positions[failure.reason] ?? addClass(failure.reason) else {
                others += 1
                return
            }
            classes[position].count += 1
            if classes[position].samples.count < sampleLimit, !failure.detail.isEmpty {
                classes[position].samples.append(failure.detail)
            }
        }

        private mutating func addClass(_ reason: String) -> Int? {
            guard classes.count < max(Self.maximumReasons, classLimit) else { return nil }
            positions[reason] = classes.count
            classes.append(Class(reason: reason, count: 0, samples: []))
            return classes.count - 1
        }

        func finish(children: UInt64) -> FailureSummary {
            let sorted = classes.enumerated().sorted {
                ($1.element.count, $0.offset) < ($0.element.count, $1.offset)
            }.map(\.element)
            let unnamed = sorted.dropFirst(classLimit).reduce(0) { $0 + $1.count }
            return FailureSummary(
                children: children, total: total, classes: Array(sorted.prefix(classLimit)),
                others: others + unnamed)
        }
    }
}
