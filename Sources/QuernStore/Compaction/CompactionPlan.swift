// SPDX-License-Identifier: Apache-2.0

/// Which index segments are worth rewriting.
///
/// | reason | when | what |
/// |---|---|---|
/// | reclaim | a quarter of a segment's bytes is dropped | the segment, with neighbours of which that holds too |
/// | merge | enough neighbours of a tier, with small blocks: 8 of the lowest, 64 of the next | these, a tier up |
/// | | anything else | nothing |
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
        /// Rows of dropped root tasks.
        var droppedRows = 0

        var isWorthReclaiming: Bool { droppedBytes > 0 && droppedBytes >= bytes / 4 }
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
            let alike = segments[start...].prefix { $0.tier == tier && $0.hasSmallBlocks }
            if Int(tier) < mergeCounts.count, alike.count >= mergeCounts[Int(tier)] {
                return CompactionPlan(range: alike.prefix(mergeCounts[Int(tier)]).indices, tier: tier + 1)
            }
            start = max(alike.endIndex, start + 1)
        }
        return nil
    }

    /// All segments, when that can gain anything: there are several, or something is dropped.
    static func everything(_ segments: [Segment]) -> CompactionPlan? {
        let isDropped = segments.contains { $0.droppedBytes > 0 || $0.droppedRows > 0 }
        guard segments.count > 1 || isDropped else { return nil }
        return CompactionPlan(range: segments.indices, tier: UInt8(mergeCounts.count))
    }
}
