// SPDX-License-Identifier: Apache-2.0

/// Which index segments are worth rewriting.
///
/// | reason | when | what |
/// |---|---|---|
/// | reclaim | a quarter of a segment's bytes is dropped | the segment, with neighbours of which that holds too |
/// | merge | enough neighbours of a tier, with small blocks: 8 of the lowest, 64 of the next | these, a tier up |
/// | | anything else | nothing |
///
/// When somebody asks for it the bounds are lower: see ``now(_:segmentBytes:)``.
///
/// So merging rewrites a child twice in its life, into runs that are 64 times longer.
struct CompactionPlan: Sendable, Equatable {
    /// The neighbours to rewrite.
    var range: Range<Int>
    /// The tier of what takes their place.
    var tier: UInt8

    struct Segment: Sendable, Equatable {
        var bytes: Int
        var blocks: Int
        var tier: UInt8
        /// Bytes of blocks in dropped trees.
        var droppedBytes = 0
        /// How many blocks these are.
        var droppedBlocks = 0
        /// Rows of dropped root tasks.
        var droppedRows = 0
        /// It stays as it is, whatever it holds.
        var isFixed = false

        /// Whether nothing in it is shown any more.
        var isDead: Bool { !isFixed && blocks > 0 && droppedBlocks == blocks }
        var hasDropped: Bool { !isFixed && (droppedBytes > 0 || droppedRows > 0) }

        var isWorthReclaiming: Bool { !isFixed && droppedBytes > 0 && droppedBytes >= bytes / 4 }
        /// Whether its blocks are far from full on average.
        var hasSmallBlocks: Bool { blocks > 0 && bytes / blocks < CompactionPlan.smallBlockBytes }
    }

    /// How many neighbours of a tier are merged, by tier.
    static let mergeCounts = [8, 64]
    /// What is reclaimed at once, so that the space it takes beside its inputs is bounded.
    static let reclaimLimit = 16
    static let smallBlockBytes = 8 << 10

    /// What to rewrite next, or nil.
    static func next(_ segments: [Segment]) -> CompactionPlan? {
        if let first = segments.firstIndex(where: \.isWorthReclaiming) {
            let worthwhile = segments[first...].prefix(reclaimLimit).prefix(while: \.isWorthReclaiming)
            return CompactionPlan(range: worthwhile.indices, tier: worthwhile.map(\.tier).max() ?? 0)
        }
        var start = 0
        while start < segments.count {
            let tier = segments[start].tier
            let alike = segments[start...].prefix { !$0.isFixed && $0.tier == tier && $0.hasSmallBlocks }
            if Int(tier) < mergeCounts.count, alike.count >= mergeCounts[Int(tier)] {
                return CompactionPlan(range: alike.prefix(mergeCounts[Int(tier)]).indices, tier: tier + 1)
            }
            start = max(alike.endIndex, start + 1)
        }
        return nil
    }

    /// What to rewrite next because somebody asks for it: the first neighbours of which each has something dropped, is
    /// not half full, or has small blocks that were not merged yet. What is full and live stays. Of what an earlier
    /// call gave nothing may be left that is not fixed.
    static func now(_ segments: [Segment], segmentBytes: Int) -> CompactionPlan? {
        let tier = UInt8(mergeCounts.count)
        func isWorthwhile(_ segment: Segment) -> Bool {
            if segment.isFixed { return false }
            let isSmall = segment.bytes < segmentBytes / 2 && segment.blocks < Limits.directoryEntries / 2
            return segment.hasDropped || isSmall || segment.hasSmallBlocks && segment.tier < tier
        }
        var start = 0
        while start < segments.count {
            let run = segments[start...].prefix(while: isWorthwhile)
            if run.count > 1 || run.contains(where: \.hasDropped) {
                return CompactionPlan(range: run.indices, tier: tier)
            }
            start = run.endIndex + 1
        }
        return nil
    }
}
