// SPDX-License-Identifier: Apache-2.0

/// What views do with a block that was decoded.
extension ChildBlock {
    /// Rows from memory, for the part of a run that is not in a file yet. Kinds, labels and facts always come.
    ///
    /// - Parameter skipped: when given, only the failures from that row on are wanted.
    mutating func fill(from block: OutcomeBlock, columns: ChildColumns = .all, failuresBehind skipped: Int? = nil) {
        reset(count: block.rows.count, parent: block.parent)
        lastSequence = block.rows.last?.sequence ?? 0
        memos.removeAll(keepingCapacity: true)
        if columns.contains(.memos), skipped == nil { memos.append(contentsOf: block.memos) }
        if columns.contains(.errors) { errors.append(contentsOf: block.errors) }
        if columns.contains(.attachments) { attachments = block.attachments }
        memoBytes = block.memos.count
        rows.removeAll(keepingCapacity: true)
        if columns.contains(.positions) {
            positions.append(contentsOf: block.rows.lazy.map { Position(sequence: $0.sequence, kind: $0.kind) })
            return
        }
        rows.reserveCapacity(skipped == nil ? block.rows.count : 0)
        var memoOffset = 0
        var errorOffset = 0
        var shape: (label: UInt32, memoLength: UInt32)?
        var areAlike = true
        var completed = 0
        for (index, row) in block.rows.enumerated() {
            let isCompleted = row.kind == .completed
            if skipped.map({ row.kind.isFailure && index >= $0 }) ?? true {
                rows.append(Row(outcome: row, valueOffset: isCompleted ? memoOffset : errorOffset))
            }
            if isCompleted {
                memoOffset += Int(row.valueLength)
                completed += 1
                if let shape, shape != (row.label, row.valueLength) { areAlike = false }
                shape = (row.label, row.valueLength)
            } else {
                errorOffset += Int(row.valueLength)
            }
        }
        count = rows.count
        if let shape, areAlike, skipped == nil {
            self.completed = (Label(rawValue: shape.label), Int(shape.memoLength), completed)
        }
    }

    /// Leaves out rows at the front.
    mutating func removeFirst(_ removed: Int) {
        count -= removed
        var gone = removed
        if rows.isEmpty {
            gone -= others.removeFirst(removed, leaving: count)
        } else {
            if completed != nil { gone = rows[..<removed].count { $0.outcome.kind == .completed } }
            rows.removeFirst(removed)
        }
        guard let completed else { return }
        // The memos of completed rows that are alike lie side by side, from the first on.
        if !memos.isEmpty { memos.removeFirst(gone * completed.memoLength) }
        setCompleted(completed.count - gone)
        placeMemos()
    }

    /// Leaves out the rows of dropped trees. Needs facts.
    mutating func removeRows(of hidden: [DroppedTree]) {
        rows.removeAll { hidden.contains(sequence: $0.outcome.sequence) }
        count = rows.count
        guard let completed else { return }
        var kept = 0
        let length = completed.memoLength
        let hasMemos = !memos.isEmpty && length > 0
        memos.withUnsafeMutableBytes { bytes in
            for row in rows where row.outcome.kind == .completed {
                if hasMemos, row.valueOffset != kept * length {
                    let memo = UnsafeRawBufferPointer(rebasing: bytes[row.valueOffset..<(row.valueOffset + length)])
                    UnsafeMutableRawBufferPointer(rebasing: bytes[(kept * length)...]).copyMemory(from: memo)
                }
                kept += 1
            }
        }
        if hasMemos { memos.removeLast(memos.count - kept * length) }
        setCompleted(kept)
        placeMemos()
    }

    /// Leaves out the rows of tasks that ended like this. Needs facts.
    mutating func removeRows(of kinds: [OutcomeKind]) {
        rows.removeAll { kinds.contains($0.outcome.kind) }
        count = rows.count
        if kinds.contains(.completed) { completed = nil }
    }

    /// Turns the rows round.
    mutating func reverse() {
        if rows.isEmpty { others.reverse(count: count) }
        rows.reverse()
        guard let completed else { return }
        if completed.memoLength > 0, !memos.isEmpty { reverseMemos(of: completed.memoLength) }
        placeMemos()
    }

    private mutating func setCompleted(_ count: Int) {
        if count == 0, !rows.isEmpty { completed = nil } else { completed?.count = count }
    }

    /// Says where the memos of rows are that lie side by side.
    private mutating func placeMemos() {
        guard let completed else { return }
        var offset = 0
        for index in rows.indices where rows[index].outcome.kind == .completed {
            rows[index].valueOffset = offset
            offset += completed.memoLength
        }
    }

    /// Swaps memos of equal length from both ends towards the middle.
    private mutating func reverseMemos(of length: Int) {
        memos.withUnsafeMutableBytes { bytes in
            var low = 0
            var high = bytes.count - length
            while low < high {
                var offset = 0
                while offset + 8 <= length {
                    let word = bytes.loadUnaligned(fromByteOffset: low + offset, as: UInt64.self)
                    bytes.storeBytes(
                        of: bytes.loadUnaligned(fromByteOffset: high + offset, as: UInt64.self),
                        toByteOffset: low + offset, as: UInt64.self)
                    bytes.storeBytes(of: word, toByteOffset: high + offset, as: UInt64.self)
                    offset += 8
                }
                while offset < length {
                    bytes.swapAt(low + offset, high + offset)
                    offset += 1
                }
                low += length
                high -= length
            }
        }
    }
}
