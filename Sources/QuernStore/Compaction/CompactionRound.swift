// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// Compactions of one look at the index, one after the other, beside the writer: on a copy, into which each puts its
/// result.
///
/// Segments that are dead as a whole go first, since that takes no space: on a full disk they make room for the rest.
/// Where damage is found the segment is set aside and the others are looked at anew.
struct CompactionRound: Sendable {
    private typealias Segment = CompactionPlan.Segment

    private var contents: IndexContents
    private let isRequested: Bool
    private let run: Run
    /// In the order in which they take the places of their inputs.
    private(set) var results: [Compaction.Result] = []
    /// Roots of which nothing is in any segment any more.
    private(set) var gone: Set<TaskID> = []
    /// What was found damaged.
    private(set) var damage: [StoreError] = []
    /// Why it ended early.
    private(set) var failure: StoreError?

    /// Rewrites some segments.
    typealias Run = @Sendable (IndexContents, CompactionPlan) throws(StoreError) -> Compaction.Result

    /// - Parameter isRequested: whether somebody asked: then all is done that gains anything.
    init(_ contents: IndexContents, isRequested: Bool, run: @escaping Run) {
        self.contents = contents
        self.isRequested = isRequested
        self.run = run
    }

    var reclaimedRows: Set<TaskID> { results.reduce(into: []) { $0.formUnion($1.reclaimedRows) } }

    /// Returns when nothing more is to be done, or can be.
    mutating func finish(segmentBytes: Int) {
        do throws(StoreError) {
            try removeDead()
            try rewrite(segmentBytes: segmentBytes)
        } catch { failure = error }
        do throws(StoreError) { gone = try contents.treesGone(reclaimed: reclaimedRows) } catch {
            failure = failure ?? error
        }
    }

    private mutating func removeDead() throws(StoreError) {
        let dead = zip(contents.index.sealed, try segments()).filter { $1.isDead }.map(\.0)
        for segment in dead { adopt(Compaction.Result(inputs: [segment], outputs: [], leavesOut: true)) }
    }

    private mutating func rewrite(segmentBytes: Int) throws(StoreError) {
        var segments = try segments()
        while let plan = isRequested
            ? CompactionPlan.now(segments, segmentBytes: segmentBytes) : CompactionPlan.next(segments)
        {
            let result: Compaction.Result
            do throws(StoreError) { result = try run(contents, plan) } catch {
                try setAside(error)
                segments = try self.segments(fixed: segments)
                continue
            }
            adopt(result)
            if !isRequested { return }
            segments.replaceSubrange(
                plan.range,
                with: result.outputs.map { .init(bytes: $0.length, blocks: 0, tier: $0.tier, isFixed: true) })
        }
    }

    /// What the sealed segments hold; those that are fixed in `before` stay so.
    private mutating func segments(fixed before: [Segment] = []) throws(StoreError) -> [Segment] {
        while true {
            do throws(StoreError) {
                var segments = try contents.segments()
                for (place, segment) in before.enumerated() where segment.isFixed { segments[place].isFixed = true }
                return segments
            } catch { try setAside(error) }
        }
    }

    /// Leaves a damaged segment alone from now on. Throws what is no such damage.
    private mutating func setAside(_ error: StoreError) throws(StoreError) {
        guard error.code == .damaged, let file = error.file,
            contents.index.sealed.contains(where: { $0.file.path == file }),
            contents.setAside.insert(file).inserted
        else { throw error }
        damage.append(error)
    }

    private mutating func adopt(_ result: Compaction.Result) {
        contents.index.replace(result.inputs, by: result.outputs)
        results.append(result)
    }
}
