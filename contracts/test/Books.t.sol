// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import {Facilitator} from "../Facilitator.sol";
import {Fixture} from "./Fixture.sol";
import {Test} from "./Test.sol";
import {TestUSDC} from "./TestUSDC.sol";

/**
 * Random histories of batches, payments past the facilitator, cancellations, blacklisting
 * and time, and books beside them of what must have become of each authorization.
 */
contract World is Fixture {
    uint256 private constant PAYERS = 5;
    uint256 private constant BATCH_MAX = 12;

    Item[] private issued;
    uint256 public paid; // to the payee, by the books
    uint256 public minted;
    mapping(bytes32 => bool) public spent; // paid, or cancelled: by the nonce
    uint256 private clock = NOW;

    constructor() {
        setUp();
    }

    function payeeOf() external view returns (address) {
        return payee;
    }

    function tokenOf() external view returns (TestUSDC) {
        return token;
    }

    function facilitatorOf() external view returns (Facilitator) {
        return facilitator;
    }

    function itemsCount() external view returns (uint256) {
        return issued.length;
    }

    function isUsed(uint256 index) external view returns (bool) {
        return used(issued[index]);
    }

    function isSpent(uint256 index) external view returns (bool) {
        return spent[issued[index].nonce];
    }

    function keyOf(uint256 seed) private pure returns (uint256) {
        return 0x402000 + seed % PAYERS;
    }

    /// Whether the token takes it now, by its own rules.
    function isGood(Item memory item, bool signedByPayer) private view returns (bool) {
        address owner = vm.addr(item.key);
        return signedByPayer && !spent[item.nonce] && clock > item.validAfter
            && clock < item.validBefore && token.balanceOf(owner) >= item.value
            && !token.isBlacklisted(owner);
    }

    function mint(uint256 seed, uint32 value) external {
        token.mint(vm.addr(keyOf(seed)), value);
        minted += value;
    }

    function pass(uint8 seconds_) external {
        clock += seconds_;
        vm.warp(clock);
    }

    function blacklist(uint256 seed, bool on) external {
        if (on) token.blacklist(vm.addr(keyOf(seed)));
        else token.unBlacklist(vm.addr(keyOf(seed)));
    }

    function cancel(uint256 seed) external {
        Item memory item = pick(seed);
        if (spent[item.nonce]) return;
        bytes32 structHash = keccak256(
            abi.encode(
                token.CANCEL_AUTHORIZATION_TYPEHASH(), vm.addr(item.key), item.nonce
            )
        );
        bytes32 hash =
            keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), structHash));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(item.key, hash);
        token.cancelAuthorization(vm.addr(item.key), item.nonce, v, r, s);
        spent[item.nonce] = true;
    }

    /// Somebody is quicker than the facilitator.
    function payDirectly(uint256 seed) external {
        Item memory item = pick(seed);
        if (!isGood(item, true)) return;
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(item.key, digest(item, payee));
        token.transferWithAuthorization(
            vm.addr(item.key), payee, item.value, item.validAfter, item.validBefore, item.nonce, v, r, s
        );
        spent[item.nonce] = true;
        paid += item.value;
    }

    /// A batch and, for each item, whether it is paid if it is tried.
    struct Batch {
        Item[] list;
        bool[] taken;
        bytes items;
    }

    /// Authorizations old and new, some twice, some signed by the wrong one, with little gas
    /// or much. The facilitator says of each what the books say.
    function settle(uint256 seed, uint8 size, uint256 gasLimit) external {
        Batch memory batch = makeBatch(seed, within(size, 1, BATCH_MAX));
        (bool success, bytes memory answer) = address(facilitator).call{
            gas: within(gasLimit, 20_000, 2_000_000)
        }(abi.encodeCall(Facilitator.settle, (address(token), payee, batch.items)));
        expect(success, "the batch");
        (uint256 done, uint256 failed) = abi.decode(answer, (uint256, uint256));
        for (uint256 i = 0; i < done; i++) {
            expect((failed >> i & 1 == 0) == batch.taken[i], "an item");
            if (!batch.taken[i]) continue;
            spent[batch.list[i].nonce] = true;
            paid += batch.list[i].value;
        }
        equal(failed >> done, 0, "one failed that was not tried");
    }

    function makeBatch(uint256 seed, uint256 count) private returns (Batch memory batch) {
        batch = Batch(new Item[](count), new bool[](count), "");
        for (uint256 i = 0; i < count; i++) {
            uint256 random = uint256(keccak256(abi.encode(seed, i)));
            bool signedByPayer = random % 7 != 0;
            Item memory item = pick(random);
            uint256 signer = signedByPayer ? item.key : item.key + PAYERS;
            batch.items = abi.encodePacked(batch.items, packBy(item, signer));
            batch.list[i] = item;
            batch.taken[i] = isGood(item, signedByPayer) && isStillGood(batch, i);
        }
    }

    /// Beside what the batch takes before item `index`.
    function isStillGood(Batch memory batch, uint256 index) private view returns (bool) {
        Item memory item = batch.list[index];
        uint256 claimed = item.value;
        for (uint256 i = 0; i < index; i++) {
            if (!batch.taken[i] || batch.list[i].key != item.key) continue;
            if (batch.list[i].nonce == item.nonce) return false;
            claimed += batch.list[i].value;
        }
        return token.balanceOf(vm.addr(item.key)) >= claimed;
    }

    /// One that was issued, or a new one.
    function pick(uint256 random) private returns (Item memory item) {
        if (issued.length > 0 && random % 3 == 0) return issued[(random >> 8) % issued.length];
        item = Item(
            keyOf(random >> 16),
            uint64(within(random >> 32, 0, 3000)),
            uint40(clock - 1 + (random >> 64) % 3),
            uint40(clock + (random >> 96) % 600),
            keccak256(abi.encode(random, issued.length))
        );
        issued.push(item);
    }
}

contract BooksTest is Test {
    World private world;

    function setUp() public {
        world = new World();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(world);
    }

    /// setUp belongs to the fixture, not to the history.
    function excludeSelectors() public view returns (FuzzSelector[] memory excluded) {
        bytes4[] memory selectors = new bytes4[](1);
        selectors[0] = world.setUp.selector;
        excluded = new FuzzSelector[](1);
        excluded[0] = FuzzSelector(address(world), selectors);
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function invariant_the_facilitator_holds_nothing() public view {
        equal(world.tokenOf().balanceOf(address(world.facilitatorOf())), 0, "balance");
        equal(address(world.facilitatorOf()).balance, 0, "ether");
    }

    function invariant_the_payee_has_what_was_paid_and_no_more() public view {
        equal(world.tokenOf().balanceOf(world.payeeOf()), world.paid(), "the payee's");
        equal(world.tokenOf().totalSupply(), world.minted(), "the supply");
    }

    function invariant_an_authorization_is_used_when_it_was_paid_or_cancelled() public view {
        for (uint256 i = 0; i < world.itemsCount(); i++) {
            expect(world.isUsed(i) == world.isSpent(i), "state");
        }
    }
}
