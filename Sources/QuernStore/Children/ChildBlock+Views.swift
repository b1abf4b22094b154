// SPDX-License-Identifier: Apache-2.0

/// What views do with a block that was decoded.
extension ChildBlock {
    /// Rows from memory, for the part of a run that is not in a file yet. Kinds, labels and facts always come.
    mutating func fill(from block: OutcomeBlock, columns: ChildColumns = .all) {
        reset(count: block.rows.count, parent: block.parent)
        lastSequence = block.rows.last?.sequence ?? 0
        memos.removeAll(keepingCapacity: true)
        if columns.contains(.memos) { memos.append(contentsOf: block.memos) }
        if columns.contains(.errors) { errors.append(contentsOf: block.errors) }
        if columns.contains(.attachments) { attachments = block.attachments }
        memoBytes = block.memos.count
        var filled = takeRows(reserving: block.rows.count)
        var memoOffset = 0
        var errorOffset = 0
        var uniform: (label: Label, memoLength: Int)?
        var isUniform = true
        for row in block.rows {
            let completed = row.kind == .completed
            filled.append(Row(outcome: row, valueOffset: completed ? memoOffset : errorOffset))
            if completed { memoOffset += Int(row.valueLength) } else { errorOffset += Int(row.valueLength) }
            let shape = (label: Label(rawValue: row.label), memoLength: Int(row.valueLength))
            if !completed || (uniform.map { $0 != shape } ?? false) { isUniform = false }
            uniform = uniform ?? shape
        }
        put(filled)
        self.uniform = isUniform ? uniform : nil
    }

    /// Leaves out rows at the front.
    mutating func removeFirst(_ removed: Int) {
        count -= removed
        if !rows.isEmpty { rows.removeFirst(removed) }
        guard let uniform else { return }
        // The memos of a uniform block lie side by side, from the first on.
        if !memos.isEmpty { memos.removeFirst(removed * uniform.memoLength) }
        placeUniformRows(uniform.memoLength)
    }

    /// Leaves out the rows of dropped trees. Needs facts.
    mutating func removeRows(of hidden: [DroppedTree]) {
        rows.removeAll { hidden.contains(sequence: $0.outcome.sequence) }
        count = rows.count
        guard let uniform else { return }
        if !memos.isEmpty, uniform.memoLength > 0 {
            let length = uniform.memoLength
            memos.withUnsafeMutableBytes { bytes in
                for (index, row) in rows.enumerated() where row.valueOffset != index * length {
                    let memo = UnsafeRawBufferPointer(rebasing: bytes[row.valueOffset..<(row.valueOffset + length)])
                    UnsafeMutableRawBufferPointer(rebasing: bytes[(index * length)...]).copyMemory(from: memo)
                }
            }
            memos.removeLast(memos.count - count * length)
        }
        placeUniformRows(uniform.memoLength)
    }

    /// Leaves out the rows of tasks that ended like this. A uniform block has completed ones alone.
    mutating func removeRows(of kinds: [OutcomeKind]) {
        guard uniform == nil else { return }
        rows.removeAll { kinds.contains($0.outcome.kind) }
        count = rows.count
    }

    /// Leaves out the rows that are no failures.
    mutating func keepFailures() {
        if uniform != nil {
            count = 0
            rows.removeAll(keepingCapacity: true)
            uniform = nil
            return
        }
        rows.removeAll { !$0.outcome.kind.isFailure }
        count = rows.count
    }

    /// Turns the rows round.
    mutating func reverse() {
        rows.reverse()
        guard let uniform else { return }
        if uniform.memoLength > 0, !memos.isEmpty { reverseMemos(of: uniform.memoLength) }
        placeUniformRows(uniform.memoLength)
    }

    private mutating func placeUniformRows(_ length: Int) {
        for index in rows.indices { rows[index].valueOffset = index * length }
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
