// SPDX-License-Identifier: Apache-2.0

/// When blocks of ended children leave memory, and which of them share a frame (S8).
struct BlockSizes: Sendable {
    /// Raw memo and error bytes of a full block; a larger value makes a block of its own.
    var full = 64 << 10
    /// Children in a full block, which bounds blocks of empty memos.
    var rows = Limits.blockRows
    /// A block that takes less in a file shares its frame with others.
    var small = 8 << 10
    /// What small blocks gather to before they are written as one frame.
    var sharedFrame = 32 << 10

    /// How many of the leading blocks go into one frame: one, or small ones up to the frame's size.
    func blocksInFrame(_ blocks: ArraySlice<OutcomeBlock>) -> Int {
        var bytes = 0
        for (count, block) in blocks.enumerated() {
            bytes += block.rawSize
            if block.rawSize >= small || bytes > sharedFrame { return max(count, 1) }
        }
        return blocks.count
    }
}
