// SPDX-License-Identifier: Apache-2.0

/// Which outcomes were taken over from a damaged store: a block that is told under another parent has again what the
/// log, or another block, has as well. No task ends twice, nor two at one position.
struct TakenRows {
    private var ids = NumberSet()
    private var sequences = NumberSet()

    /// Leaves out rows whose task or position was taken. Returns how many.
    mutating func takeNew(_ block: inout OutcomeBlock) -> UInt64 {
        var isTaken: [Bool] = []
        for (index, row) in block.rows.enumerated() {
            if !ids.contains(row.task), !sequences.contains(row.sequence) {
                _ = ids.insert(row.task...row.task)
                _ = sequences.insert(row.sequence...row.sequence)
                continue
            }
            if isTaken.isEmpty { isTaken = Array(repeating: false, count: block.rows.count) }
            isTaken[index] = true
        }
        if isTaken.isEmpty { return 0 }
        var rest = OutcomeBlock(parent: block.parent, root: block.root)
        var (memo, error) = (0, 0)
        for (row, isTaken) in zip(block.rows, isTaken) {
            let isMemo = row.kind == .completed
            let start = isMemo ? memo : error
            let end = start + Int(row.valueLength)
            if isMemo { memo = end } else { error = end }
            if isTaken { continue }
            (isMemo ? block.memos : block.errors).withUnsafeBytes {
                rest.append(row, value: UnsafeRawBufferPointer(rebasing: $0[start..<end]))
            }
        }
        rest.attachments.append(block.attachments, of: rest.rows)
        let left = block.rows.count - rest.rows.count
        block = rest
        return UInt64(left)
    }
}
