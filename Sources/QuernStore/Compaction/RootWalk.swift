// SPDX-License-Identifier: Apache-2.0

/// A walk over the rows of ended root tasks, a block at a time, that passes over what is damaged: it sets the file
/// aside, and goes on with the rest.
struct RootWalk {
    /// What was passed over.
    private(set) var damage: [StoreError]
    private let shared: StoreShared
    private var cursor: ChildCursor
    private var missed = 0

    /// - Parameters:
    ///   - rows: the rows to walk over, in this order.
    ///   - damage: why some are not among them.
    init(_ rows: ChildSnapshot, damage: [StoreError], _ shared: StoreShared) {
        self.damage = damage
        self.shared = shared
        cursor = rows.makeCursor(columns: .facts)
    }

    /// The next block that can be read; false at the end. Where a segment has no directory any more it shows rows of
    /// dropped trees too.
    mutating func next(into block: inout ChildBlock) throws(StoreError) -> Bool {
        while true {
            do throws(StoreError) { return try cursor.next(into: &block) } catch {
                guard error.code == .damaged else { throw error }
                shared.note(damage: error)
                damage.append(error)
                missed += cursor.passOver()
            }
        }
    }

    /// How many rows were passed over since this was asked last.
    mutating func takeMissed() -> Int {
        defer { missed = 0 }
        return missed
    }
}
