// SPDX-License-Identifier: Apache-2.0

/// What was done, in numbers: the line that each scenario ends with.
struct Figures {
    var rounds = 0
    var kills = 0
    /// Kills before the service had opened its store.
    var killsInOpening = 0
    var submits = 0
    var outcomes = 0
    var cancels = 0
    var drops = 0
    var stores = 0
    /// Comparisons of the store with the ledger.
    var comparisons = 0
    /// Root tasks that were compared, once in each comparison.
    var compared = 0
    /// Children that were looked at.
    var children: UInt64 = 0
    /// Waves whose sums were compared with the model's.
    var waves = 0
    var verifications = 0
    /// Bytes that verifications read.
    var bytes = 0
    /// What callers were refused, by kind.
    var refused: [String: Int] = [:]
    /// What services ended with that could not go on.
    var failed: [String: Int] = [:]
    /// How services ended otherwise than by our SIGKILL.
    var ends: [String: Int] = [:]
    /// What else happened, by name.
    var events: [String: Int] = [:]

    var acknowledgements: Int { submits + outcomes + cancels + drops + stores }

    var lines: [String] {
        var lines = [
            "\(rounds) rounds, \(kills) kills (\(killsInOpening) of them before it had opened); "
                + "\(acknowledgements) acknowledgements (\(submits) submits, \(outcomes) outcomes, \(cancels) cancels, "
                + "\(drops) drops, \(stores) values); \(comparisons) comparisons of \(compared) root tasks, "
                + "\(waves) waves and \(children) children; \(verifications) verifications of \(bytes) bytes; "
                + "nothing lost, nothing twice"
        ]
        lines += Self.list("refused", refused)
        lines += Self.list("could not go on", failed)
        lines += Self.list("ended by itself", ends)
        lines += Self.list("happened", events)
        return lines
    }

    private static func list(_ title: String, _ counts: [String: Int]) -> [String] {
        if counts.isEmpty { return [] }
        let sorted = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        return ["\(title): " + sorted.map { "\($0.value) x \($0.key)" }.joined(separator: "; ")]
    }
}
