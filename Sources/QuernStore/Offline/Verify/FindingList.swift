// SPDX-License-Identifier: Apache-2.0

/// Findings, of which not more are kept than a person reads: damage may be found once a block.
struct FindingList: Sendable {
    static let limit = 1000

    private(set) var findings: [StoreFinding] = []
    /// How many more there were.
    private(set) var dropped = 0

    mutating func append(_ finding: StoreFinding) {
        if findings.count < Self.limit { findings.append(finding) } else { dropped += 1 }
    }

    /// The damage first, then by file and place, each once.
    func sorted() -> [StoreFinding] {
        var seen: Set<String> = []
        let ordered = findings.enumerated().sorted {
            let (left, right) = ($0.element, $1.element)
            if left.severity != right.severity { return left.severity > right.severity }
            if left.file != right.file { return left.file < right.file }
            return (left.offset ?? .max, $0.offset) < (right.offset ?? .max, $1.offset)
        }
        // The directory of a segment is made again from blocks that are read once more: what is wrong there is told by
        // both.
        var result = ordered.map(\.element).filter { finding in
            guard let offset = finding.offset else { return true }
            return seen.insert("\(finding.file) \(offset) \(finding.what)").inserted
        }
        if dropped > 0 {
            result.append(StoreFinding(.damage, "", "\(dropped) more findings", "they are not listed"))
        }
        return result
    }
}
