// SPDX-License-Identifier: Apache-2.0

extension Transaction {
    /// A place in a transaction, to go back to or to cut at.
    public struct Mark: Sendable, Equatable {
        var spawnGroups = 0
        var lastGroupCount = 0
        var payloads = 0
        var payloadBytes = 0
        var attributeBytes = 0
        var keys = 0
        var outcomes = 0
        var valueBytes = 0
        var attachments = 0
        var attachmentBytes = 0
        var notes = 0
        var largestLabel: UInt32 = 0
    }

    /// Where the transaction ends now.
    public var mark: Mark {
        Mark(
            spawnGroups: spawnGroups.count, lastGroupCount: spawnGroups.last?.count ?? 0,
            payloads: payloadLengths.count, payloadBytes: payloads.count, attributeBytes: attributeBytes,
            keys: keys.count, outcomes: outcomes.count, valueBytes: values.count, attachments: attachments.count,
            attachmentBytes: attachmentBytes, notes: notes.count, largestLabel: largestLabel)
    }

    /// Drops all operations that were added after `mark` was taken.
    public mutating func rollback(to mark: Mark) {
        spawnGroups.removeLast(spawnGroups.count - mark.spawnGroups)
        if !spawnGroups.isEmpty { spawnGroups[spawnGroups.count - 1].count = mark.lastGroupCount }
        payloadLengths.removeLast(payloadLengths.count - mark.payloads)
        payloads.truncate(to: mark.payloadBytes)
        attributeBytes = mark.attributeBytes
        keys.removeLast(keys.count - mark.keys)
        outcomes.removeLast(outcomes.count - mark.outcomes)
        valueLengths.removeLast(valueLengths.count - mark.outcomes)
        values.truncate(to: mark.valueBytes)
        attachments.removeLast(attachments.count - mark.attachments)
        attachmentBytes = mark.attachmentBytes
        notes.removeLast(notes.count - mark.notes)
        largestLabel = mark.largestLabel
    }

    /// Takes out the operations that were added before `mark` was taken, and leaves the later ones.
    ///
    /// - Complexity: proportional to the whole.
    public mutating func removeAll(before mark: Mark) -> Transaction {
        var rest = Transaction()
        rest.spawnGroups = Array(spawnGroups[mark.spawnGroups...])
        if mark.spawnGroups > 0, spawnGroups[mark.spawnGroups - 1].count > mark.lastGroupCount {
            var group = spawnGroups[mark.spawnGroups - 1]
            group.count -= mark.lastGroupCount
            rest.spawnGroups.insert(group, at: 0)
        }
        rest.attributeBytes = rest.spawnGroups.reduce(0) { $0 + $1.attributes.count }
        rest.keys = Array(keys[mark.keys...])
        rest.payloadLengths = Array(payloadLengths[mark.payloads...])
        rest.payloads.append(contentsOf: payloads.bytes[mark.payloadBytes...])
        rest.outcomes = Array(outcomes[mark.outcomes...])
        rest.valueLengths = Array(valueLengths[mark.outcomes...])
        rest.values.append(contentsOf: values.bytes[mark.valueBytes...])
        for attachment in attachments[mark.attachments...] {
            rest.attachments.append(
                Attachment(outcome: attachment.outcome - mark.outcomes, bytes: attachment.bytes))
        }
        rest.attachmentBytes = attachmentBytes - mark.attachmentBytes
        rest.notes = Array(notes[mark.notes...])
        rest.findLargestLabel()
        rollback(to: mark)
        swap(&self, &rest)
        return rest
    }
}
